"""Collect plain English sentences: `python -m training.corpus`. Takes about a minute.

Needs apt and dpkg-deb. Writes `held.txt` (held out of training) and `sentences.txt`, shuffled, one
sentence a line.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from training import callcentre
from training.folder import add_folder
from training.sources import READERS, fetch

HELD_OUT_SENTENCES = 400
CALL_CENTRE_SHARE = 0.12
WORDS = range(3, 21)
MAX_CHARACTERS = 130
MAX_WORD_CHARACTERS = 18
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[\"'(]?[A-Z])")
PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z'\"-]|[,.;:?!](?=[\"' ]|$)| (?![,.;:?!]))*")
BENCH = Path(__file__).parents[1] / "bench"


def sentences(text: str) -> Iterator[str]:
    """Extract the plain sentences of a text, without quotes, dashes and underscores."""
    for sentence in SENTENCE_END.split(" ".join(text.split())):
        tidy = sentence.strip(' "').replace("--", ", ").replace("_", "")
        if is_plain(tidy):
            tidy = tidy[0].upper() + tidy[1:]
            yield tidy if tidy[-1] in ".!?" else tidy.rstrip(",;:- '\"") + "."


def is_plain(sentence: str) -> bool:
    """True for letters and punctuation, 3 to 20 words, and at most one word in capitals."""
    words = sentence.split()
    return (
        len(words) in WORDS
        and len(sentence) <= MAX_CHARACTERS
        and max(map(len, words)) <= MAX_WORD_CHARACTERS
        and PLAIN.fullmatch(sentence) is not None
        and sum(word.isupper() and len(word) > 1 for word in words) <= 1
    )


def letters(sentence: str) -> str:
    """Return the lower-case words. Two sentences with the same words sound the same."""
    return re.sub(r"[^a-z]+", " ", sentence.lower()).strip()


def collect(texts: Iterable[str], unwanted: Iterable[str], seed: int) -> list[str]:
    """Return each plain sentence once, with call-centre sentences added, in random order.

    Sentences of `unwanted` are left out.
    """
    seen = {letters(sentence) for sentence in unwanted}
    found = list(unseen((sentence for text in texts for sentence in sentences(text)), seen))
    count = int(len(found) * CALL_CENTRE_SHARE / (1 - CALL_CENTRE_SHARE))
    found += unseen(callcentre.sentences(count, seed), seen)
    random.Random(seed).shuffle(found)
    return found


def unseen(candidates: Iterable[str], seen: set[str]) -> Iterator[str]:
    """Return the candidates whose words are not in `seen`, and add them."""
    for sentence in candidates:
        if (key := letters(sentence)) not in seen:
            seen.add(key)
            yield sentence


def benchmark_sentences() -> list[str]:
    """Return the sentences that word error rates are measured on. None may be trained on."""
    return [line for path in sorted(BENCH.glob("*.txt")) for line in path.read_text().splitlines()]


def write(folder: Path, found: list[str], held: int) -> None:
    """Split off the held-out sentences, and write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "held.txt").write_text("\n".join(found[:held]) + "\n")
    (folder / "sentences.txt").write_text("\n".join(found[held:]) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Fetch texts, and write their sentences."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    parser.add_argument(
        "--text", type=Path, nargs="*", help="plain text files to use instead of Debian packages"
    )
    parser.add_argument(
        "--held",
        type=int,
        default=HELD_OUT_SENTENCES,
        help="number of sentences held out of training",
    )
    options = parser.parse_args(arguments)
    if options.text:
        texts: Iterable[str] = (path.read_text() for path in options.text)
    else:
        share = fetch(options.data / "packages")
        texts = (text for reader in READERS for text in reader(share))
    found = collect(texts, benchmark_sentences(), options.seed)
    write(options.data, found, options.held)
    words = sum(len(sentence.split()) for sentence in found)
    print(f"{len(found)} sentences, {words} words", flush=True)


if __name__ == "__main__":
    main()
