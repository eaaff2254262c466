"""Codes of failed or reported requests, kept to be decoded again."""
