"""Routes: speech, voices and the page."""
