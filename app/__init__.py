"""A server for LLM-based text-to-speech: text in, streamed speech out."""
