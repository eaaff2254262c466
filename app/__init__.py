"""An OpenAI-compatible server for LLM-based text-to-speech."""

# Equal in pyproject.toml and the chart (tests/docs/test_project.py).
__version__ = "0.1.0"
