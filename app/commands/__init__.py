"""The commands `serve` and `say` of the command line."""
