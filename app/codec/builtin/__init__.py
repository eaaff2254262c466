"""The built-in codec."""
