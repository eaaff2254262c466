"""Sources of the sentences: Debian packages of prose under licences that allow any use.

The trained weights are published, and the texts are not. Packages:

* wordnet-base: WordNet 3.0 licence (use, copy, modify and distribute for any purpose without fee)
* dict-gcide: GPL; most of it Webster's of 1913, in the public domain
* jargon-text: public domain
* anarchism: GPL-2+
* debian-handbook: GPL-2+ or CC-BY-SA-3.0
* developers-reference, debian-reference-en: GPL-2+

Collections of quotations are not used, because their authors have not given permission.
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
    """Download the packages with apt and unpack them into `folder`. Return their /usr/share.

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
    """Read the usage examples and the first gloss of each entry."""
    for path in sorted((share / "wordnet").glob("data.*")):
        for line in path.read_text(errors="ignore").splitlines():
            _, bar, gloss = line.partition(" | ")
            if bar:
                yield from QUOTED.findall(gloss)
                yield QUOTED.sub("", gloss).split(";")[0]


def gcide(share: Path) -> Iterator[str]:
    """Read the paragraphs of the dictionary."""
    yield from _text(share / "dictd" / "gcide.dict.dz").split("\n\n")


def jargon(share: Path) -> Iterator[str]:
    """Read the Jargon File."""
    yield _text(share / "doc" / "jargon-text" / "jargon.txt.gz")


def anarchism(share: Path) -> Iterator[str]:
    """Read An Anarchist FAQ: long, plain, argumentative prose."""
    yield from map(_page, sorted((share / "doc" / "anarchism").rglob("*.html*")))


def handbook(share: Path) -> Iterator[str]:
    """Read the Debian Administrator's Handbook."""
    folder = share / "doc" / "debian-handbook" / "html" / "en-US"
    yield from map(_page, sorted(folder.glob("*.html")))


def references(share: Path) -> Iterator[str]:
    """Read Debian's references for developers and users."""
    yield from map(_text, sorted((share / "debian-reference").glob("*.en.txt.gz")))
    yield from map(_text, sorted((share / "developers-reference").glob("*.txt.gz")))


# Everyday prose first: of equal sentences the first is kept.
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
    if path.suffix in {".gz", ".dz"}:
        content = gzip.decompress(content)
    return content.decode(errors="ignore")


def _page(path: Path) -> str:
    return html.unescape(TAG.sub(" ", _text(path)))
