"""Tokens of the language model: parsing, codes and windows."""
