"""Voices cloned from a reference: the upload's sound, its codes, and the store of what is kept."""
