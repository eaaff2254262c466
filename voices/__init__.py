"""The making of the built-in voice."""
