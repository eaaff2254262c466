"""Client of a vLLM server."""
