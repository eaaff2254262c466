"""The WebSocket endpoint of speech."""
