"""Text of a request: markup, sentences, pronunciations and prompt."""
