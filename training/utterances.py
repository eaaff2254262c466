"""Speech on disk: files of samples, pitch, aperiodicity, utterances and codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.aperiodicity import BANDS
from training.codec_encoder import FRAME_SAMPLES

SETS = ("held", "train")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence, its padded phoneme ids, their durations in units of 25 ms, and its samples."""

    sentence: int  # line number in the list of sentences
    text: str
    phonemes: str
    ids: list[int]
    units: list[int]
    first_sample: int
    samples: int
    voice: str

    @property
    def frames(self) -> int:
        """Number of codes. The last frame is padded with silence."""
        return -(-self.samples // FRAME_SAMPLES)


@dataclass(frozen=True, slots=True)
class SpeechSet:
    """The files of one set."""

    folder: Path
    name: str

    @property
    def pcm(self) -> Path:
        """Samples: 24 kHz mono, 16 bits, little-endian."""
        return self.folder / f"{self.name}.pcm"

    @property
    def pitch(self) -> Path:
        """Pitch in Hz for each 300 samples, 0 if unvoiced: float16, little-endian."""
        return self.folder / f"{self.name}.pitch"

    @property
    def aperiodicity(self) -> Path:
        """Share of noise in 20 bands for each 300 samples: bytes, in 255ths."""
        return self.folder / f"{self.name}.aperiodicity"

    @property
    def lines(self) -> Path:
        """Utterances: one JSON object per line."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def codes(self) -> Path:
        """Codes of all utterances, concatenated."""
        return self.folder / f"{self.name}.codes.npy"

    def utterances(self) -> list[Utterance]:
        """Return all utterances so far, without an incomplete last line."""
        if not self.lines.exists():
            return []
        lines = self.lines.read_text().splitlines(keepends=True)
        return [Utterance(**json.loads(line)) for line in lines if line.endswith("\n")]

    def samples(self) -> NDArray[np.int16]:
        """Map all samples into memory."""
        return np.memmap(self.pcm, np.dtype("<i2"), "r")

    def pitches(self) -> NDArray[np.float16]:
        """Map all pitches into memory."""
        return np.memmap(self.pitch, np.dtype("<f2"), "r")

    def aperiodicities(self) -> NDArray[np.uint8]:
        """Map all shares (frames, 20) into memory."""
        return np.memmap(self.aperiodicity, np.uint8, "r").reshape(-1, BANDS)

    def with_codes(self) -> Iterator[tuple[Utterance, NDArray[np.uint16]]]:
        """Iterate over the utterances that have codes, with these (frames,)."""
        codes = np.load(self.codes)
        first = 0
        for utterance in self.utterances():
            if first + utterance.frames > len(codes):
                return
            yield utterance, codes[first : first + utterance.frames]
            first += utterance.frames


def format_line(utterance: Utterance) -> str:
    """Format an utterance as one line."""
    return json.dumps(asdict(utterance), ensure_ascii=False) + "\n"
