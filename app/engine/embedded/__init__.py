"""The embedded engine, which needs no vLLM."""
