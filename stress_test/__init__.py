"""Load test of a speech server: sends requests, measures the audio, compares results."""
