"""Texts and their spoken forms, in the files of this folder."""

from __future__ import annotations

from pathlib import Path


def read_pairs(name: str) -> list[tuple[str, ...]]:
    """Return the columns of each line of `name`.tsv."""
    text = Path(__file__).with_name(f"{name}.tsv").read_text(encoding="utf-8")
    return [tuple(line.split("\t")) for line in text.splitlines()]
