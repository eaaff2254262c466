from __future__ import annotations

from pathlib import Path

import pytest

from training.corpus import benchmark_sentences, collect, main, sentences
from training.sources import gcide, jargon, wordnet

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the cat sat down", ["The cat sat down."]),
        ("It rained all day. We stayed at home!", ["It rained all day.", "We stayed at home!"]),
        ("broken\nover two   lines, it is one", ["Broken over two lines, it is one."]),
        ("Too short.", []),
        ("It costs 5 euros today.", []),
        ("NASA and ESA work together.", []),
        ("A lost comma , here.", []),
        ("Nobody reads antidisestablishmentarianism aloud.", []),
        (" ".join(["word"] * 21), []),
    ],
)
def test_only_sentences_that_can_be_read_aloud(text: str, found: list[str]) -> None:
    assert list(sentences(text)) == found


def test_a_sentence_is_kept_once_and_never_one_that_is_judged() -> None:
    texts = ["One two three.", "one two three!", "Four five six.", "Seven eight nine."]
    assert sorted(collect(texts, ["Seven, eight, nine?"], seed=0)) == [
        "Four five six.",
        "One two three.",
    ]


def test_the_order_follows_the_seed() -> None:
    texts = [f"{word} goes home." for word in ("Anna", "Ben", "Carl", "Dora", "Emil", "Frida")]
    assert collect(texts, [], seed=1) == collect(texts, [], seed=1) != collect(texts, [], seed=2)


def test_the_benchmark_is_not_trained_on(tmp_path: Path) -> None:
    text = tmp_path / "prose.txt"
    text.write_text(
        "\n\n".join(
            [*benchmark_sentences()[:5], "A sentence of my own is kept.", "So is another one here."]
        )
    )
    main(["--data", str(tmp_path), "--text", str(text), "--held", "1"])
    kept = (tmp_path / "sentences.txt").read_text() + (tmp_path / "held.txt").read_text()
    assert sorted(kept.splitlines()) == ["A sentence of my own is kept.", "So is another one here."]


def test_packages_are_read_where_debian_puts_them(tmp_path: Path) -> None:
    dictionary, entry = tmp_path / "wordnet", tmp_path / "dictd"
    dictionary.mkdir()
    entry.mkdir()
    (dictionary / "data.noun").write_text(
        '00001740 03 n | a thing that exists; "it was full of rackets"\nlicence\n'
    )
    (entry / "gcide.dict.dz").write_bytes(b"First paragraph.\n\nSecond one.")
    assert [text.strip() for text in wordnet(tmp_path)] == [
        "it was full of rackets",
        "a thing that exists",
    ]
    with pytest.raises(OSError, match="gzip"):
        list(gcide(tmp_path))
    with pytest.raises(FileNotFoundError):
        list(jargon(tmp_path))
