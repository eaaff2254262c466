"""An OpenAI-compatible server for LLM-based text-to-speech."""
