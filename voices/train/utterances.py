"""Speech on disk: one file of 16-bit samples, one of pitch, one of aperiodicity, one of JSON lines, one of codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voices.train.aperiodicity import BANDS
from voices.train.codec_encoder import FRAME_SAMPLES

SETS = ("held", "train")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence, its phoneme ids (padded) with their durations in 25 ms units, and where its samples lie."""

    sentence: int  # its line in the list of sentences
    text: str
    phonemes: str
    ids: list[int]
    units: list[int]
    first_sample: int
    samples: int
    voice: str

    @property
    def frames(self) -> int:
        """Frames of codes, the last one filled with silence."""
        return -(-self.samples // FRAME_SAMPLES)


@dataclass(frozen=True, slots=True)
class SpeechSet:
    """The files of one set."""

    folder: Path
    name: str

    @property
    def pcm(self) -> Path:
        """24 kHz mono, 16 bits, little-endian."""
        return self.folder / f"{self.name}.pcm"

    @property
    def pitch(self) -> Path:
        """Pitch in Hz, 0 where unvoiced, one number for each 300 samples: float16, little-endian."""
        return self.folder / f"{self.name}.pitch"

    @property
    def aperiodicity(self) -> Path:
        """Share of what is not periodic in 20 bands, in 255ths, for each 300 samples: bytes."""
        return self.folder / f"{self.name}.aperiodicity"

    @property
    def lines(self) -> Path:
        """One utterance a line."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def codes(self) -> Path:
        """The codes of all utterances, one after the other."""
        return self.folder / f"{self.name}.codes.npy"

    def utterances(self) -> list[Utterance]:
        """Everything spoken so far; an unfinished last line is left out."""
        if not self.lines.exists():
            return []
        lines = self.lines.read_text().splitlines(keepends=True)
        return [Utterance(**json.loads(line)) for line in lines if line.endswith("\n")]

    def samples(self) -> NDArray[np.int16]:
        """All samples, mapped into memory."""
        return np.memmap(self.pcm, np.dtype("<i2"), "r")

    def pitches(self) -> NDArray[np.float16]:
        """All pitches, mapped into memory."""
        return np.memmap(self.pitch, np.dtype("<f2"), "r")

    def aperiodicities(self) -> NDArray[np.uint8]:
        """All shares (frames, 20), mapped into memory."""
        return np.memmap(self.aperiodicity, np.uint8, "r").reshape(-1, BANDS)

    def with_codes(self) -> Iterator[tuple[Utterance, NDArray[np.uint16]]]:
        """Each utterance and its codes (frames,)."""
        codes = np.load(self.codes)
        first = 0
        for utterance in self.utterances():
            if first + utterance.frames > len(codes):
                return
            yield utterance, codes[first : first + utterance.frames]
            first += utterance.frames


def line_of(utterance: Utterance) -> str:
    """An utterance as one line."""
    return json.dumps(asdict(utterance), ensure_ascii=False) + "\n"
