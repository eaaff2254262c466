"""FFmpeg's encoders and filters start no threads, however many processors there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.audio.encoders import make_encoder
from app.audio.tempo import TimeStretcher
from app.config.types import Format

SOUND = np.zeros(24_000, np.float32)


def threads() -> int:
    """Threads of this process that the system counts, Python's and others."""
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize("speed", [0.25, 1.5])
def test_tempo_starts_no_thread(speed: float) -> None:
    before = threads()
    kept = [TimeStretcher(24_000, speed) for _ in range(4)]
    for tempo in kept:
        tempo.feed(SOUND)
    assert threads() == before


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac"])
def test_an_encoder_starts_no_thread(name: Format, whole: bool) -> None:
    before = threads()
    kept = [make_encoder(name, 24_000, whole=whole) for _ in range(4)]
    for encoder in kept:
        encoder.feed(SOUND)
    assert threads() == before
