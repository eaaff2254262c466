"""One request: from segments of text to encoded audio."""
