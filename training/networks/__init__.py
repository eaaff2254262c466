"""The networks of the built-in voices in torch, for training and export."""
