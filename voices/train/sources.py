"""Where the sentences come from: Debian packages of prose under licences that allow any use.

Trained weights are published, the texts are not. Read here:

* wordnet-base: WordNet 3.0 licence (use, copy, modify and distribute for any purpose without fee)
* dict-gcide: GPL; most of it Webster's of 1913, in the public domain
* jargon-text: public domain
* anarchism: GPL-2+
* debian-handbook: GPL-2+ or CC-BY-SA-3.0
* developers-reference, debian-reference-en: GPL-2+

Left out: collections of quotations, whose authors nobody has asked.
"""

from __future__ import annotations

import gzip
import html
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

PACKAGES = (
    "wordnet-base",
    "dict-gcide",
    "jargon-text",
    "anarchism",
    "debian-handbook",
    "developers-reference",
    "debian-reference-en",
)
TAG = re.compile(r"<[^>]+>")
QUOTED = re.compile(r'"([^"]+)"')


def fetch(folder: Path) -> Path:
    """Download the packages with apt and unpack them into `folder`; returns their /usr/share.

    Raises:
        CalledProcessError: apt-get (run `apt-get update` first) or dpkg-deb failed.
    """
    unpacked = folder / "unpacked"
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        missing = [name for name in PACKAGES if not any(folder.glob(f"{name}_*.deb"))]
        if missing:
            subprocess.run(["apt-get", "download", *missing], cwd=folder, check=True)
        for package in sorted(folder.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
    return unpacked / "usr" / "share"


def wordnet(share: Path) -> Iterator[str]:
    """The examples of use, then the first gloss, of each entry."""
    for path in sorted((share / "wordnet").glob("data.*")):
        for line in path.read_text(errors="ignore").splitlines():
            _, bar, gloss = line.partition(" | ")
            if bar:
                yield from QUOTED.findall(gloss)
                yield QUOTED.sub("", gloss).split(";")[0]


def gcide(share: Path) -> Iterator[str]:
    """The dictionary's paragraphs."""
    yield from _text(share / "dictd" / "gcide.dict.dz").split("\n\n")


def jargon(share: Path) -> Iterator[str]:
    """The Jargon File."""
    yield _text(share / "doc" / "jargon-text" / "jargon.txt.gz")


def anarchism(share: Path) -> Iterator[str]:
    """An Anarchist FAQ: long, plain, argued prose."""
    yield from map(_page, sorted((share / "doc" / "anarchism").rglob("*.html*")))


def handbook(share: Path) -> Iterator[str]:
    """The Debian Administrator's Handbook."""
    yield from map(
        _page, sorted((share / "doc" / "debian-handbook" / "html" / "en-US").glob("*.html"))
    )


def references(share: Path) -> Iterator[str]:
    """Debian's developers' and users' references."""
    yield from map(_text, sorted((share / "debian-reference").glob("*.en.txt.gz")))
    yield from map(_text, sorted((share / "developers-reference").glob("*.txt.gz")))


# Everyday prose first: a sentence found twice belongs to the first.
READERS: tuple[Callable[[Path], Iterator[str]], ...] = (
    wordnet,
    jargon,
    anarchism,
    handbook,
    references,
    gcide,
)


def _text(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix in {".gz", ".dz"} else content).decode(
        errors="ignore"
    )


def _page(path: Path) -> str:
    return html.unescape(TAG.sub(" ", _text(path)))
