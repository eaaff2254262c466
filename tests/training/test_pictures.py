from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="make setup-judge installs it")
from PIL import Image

from training.pictures import FLOOR_DB, draw, save, spectrogram

RATE_HZ = 24_000


def tone(frequency_hz: float, duration_s: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    time_s = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def test_a_tone_is_loudest_where_it_is() -> None:
    levels = spectrogram(tone(3000, 0.5))
    assert levels.shape[0] == 513
    assert set(levels.argmax(0)) == {128}
    assert levels.min() == FLOOR_DB


def test_a_picture_is_small_and_as_high_as_there_are_speakers(tmp_path: Path) -> None:
    sound = tone(200, 1.0)
    sizes: list[tuple[int, int]] = []
    for count in (1, 4):
        figure = draw("A sentence.", {f"speaker {number}": sound for number in range(count)})
        save(figure, tmp_path / "one.png")
        assert (tmp_path / "one.png").stat().st_size < 250_000
        with Image.open(tmp_path / "one.png") as picture:
            sizes.append(picture.size)
    assert sizes[0][0] == sizes[1][0]
    assert abs(sizes[1][1] - 4 * sizes[0][1]) <= 4
