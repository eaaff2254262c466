"""ASGI middleware: request id, log line, Origin, API keys, body size and CORS."""
