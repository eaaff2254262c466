"""Training of the built-in voices."""
