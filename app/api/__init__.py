"""The HTTP and WebSocket API: routes, schemas, the audio response and admission."""
