from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.run_ons import Lengths, collect_lengths, untrained_sentences
from training.speakers import Line, Take

SILENCE = np.zeros(0, np.float32)


def test_what_never_ends_is_counted() -> None:
    lengths = Lengths(model=[100, 60, 240], teacher=[90, 100, 100], limit=[200, 200, 240])
    assert lengths.report() == {
        "pieces": 3,
        "length_ratio_mean": round((100 / 90 + 0.6 + 2.4) / 3, 3),
        "length_within_30_percent": 0.3333,
        "run_on": 1,
    }


def test_every_piece_of_every_line_counts() -> None:
    lines = [Line("a", [[0, 1, 0], [0, 1, 2, 0]]), Line("b", [[0] * 10])]
    takes = [Take(SILENCE, [5, 6]), Take(SILENCE, [7])]
    references = [Take(SILENCE, [4, 6]), Take(SILENCE, [9])]
    assert collect_lengths(lines, takes, references) == Lengths([5, 6, 7], [4, 6, 9], [55, 60, 90])


def test_held_out_sentences_come_first_then_those_never_spoken(data: Path) -> None:
    held = (data / "held.txt").read_text().splitlines()
    assert untrained_sentences(data, 1) == held[:1]
    assert untrained_sentences(data, 2) == held
    with pytest.raises(ValueError, match="only 0"):
        untrained_sentences(data, 3)  # the teacher spoke the whole list


def test_a_list_that_was_spoken_in_part_has_more(data: Path, tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_text("Held out.\n")
    spoken = (data / "sentences.txt").read_text()
    (tmp_path / "sentences.txt").write_text(spoken + "Never spoken.\nNor this.\n")
    (tmp_path / "speech").symlink_to(data / "speech")
    assert untrained_sentences(tmp_path, 2) == ["Held out.", "Nor this."]
    assert untrained_sentences(tmp_path, 3) == ["Held out.", "Never spoken.", "Nor this."]
    with pytest.raises(ValueError, match="only 2"):
        untrained_sentences(tmp_path, 4)
