"""ASGI middleware: request id and log line, Origin, API keys, body size and CORS."""
