"""NeuCodec, with its own weights."""
