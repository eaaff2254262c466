"""HTTP and WebSocket protocols on uvicorn's, with their limits."""
