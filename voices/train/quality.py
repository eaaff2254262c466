"""How good speech is: words misheard by a recogniser, DNSMOS, and against a reference PESQ and STOI.

Needs '.[judge,train]'. DNSMOS P.835 (Reddy et al. 2022, arXiv:2110.01763) with the network in the package
`speechmos`; PESQ is ITU-T P.862.2 (wide band), STOI Taal et al. 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import numpy as np
import soxr
from numpy.typing import NDArray
from pesq import pesq  # pyright: ignore[reportMissingTypeStubs]
from pystoi import stoi  # pyright: ignore[reportMissingTypeStubs]

from app.codec.builtin import SPEC
from app.samples import Samples
from bench.judge import RATE_HZ, Judge, normalise, word_error_rate
from voices.train.speakers import Line, Take
from voices.train.teacher import load_graph

DNSMOS_SAMPLES = int(9.01 * RATE_HZ)  # what its network takes
OVERALL = np.poly1d(
    (-0.06766283, 1.11546468, 0.04602535)
)  # the package's fit of its third number to listeners


class OpinionScore:
    """DNSMOS on one thread, of one stretch of 9.01 s: a sentence repeated until it fills it.

    The package's own way is the mean over some five such stretches, a second apart: within 0.03 of this.
    """

    def __init__(self) -> None:
        self._network = load_graph(
            (files("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx").read_bytes()
        )

    def overall(self, samples: Samples) -> float:
        """The overall quality of 16 kHz samples, 1 to 5."""
        stretch = np.resize(samples, (1, DNSMOS_SAMPLES)).clip(-1, 1).astype(np.float32)
        (numbers,) = self._network.run(None, {"input_1": stretch})
        return float(OVERALL(numbers[0, 2]))


class Ears:
    """The recogniser and DNSMOS, with as many sentences at once as there are workers, each on one thread."""

    def __init__(self, workers: int = 1) -> None:
        self._judge, self._score, self._workers = Judge(workers), OpinionScore(), workers

    def understand(self, lines: Sequence[Line], takes: Sequence[Take]) -> dict[str, object]:
        """Word error rate, and every line that was not heard as written."""
        with ThreadPoolExecutor(self._workers) as pool:
            heard = list(pool.map(self._hear, takes))
        texts = [line.text for line in lines]
        pairs = zip(texts, heard, strict=True)
        return {
            "sentences": len(texts),
            "word_error_rate": round(word_error_rate(texts, heard), 4),
            "misheard": [
                {"text": text, "heard": ear}
                for text, ear in pairs
                if normalise(text) != normalise(ear)
            ],
        }

    def rate(self, takes: Sequence[Take]) -> float:
        """Mean DNSMOS."""
        with ThreadPoolExecutor(self._workers) as pool:
            scores = list(pool.map(self._overall, takes))
        return round(float(np.mean(scores)), 3)

    def _hear(self, take: Take) -> str:
        return self._judge.transcribe(take.samples, SPEC.sample_rate_hz)

    def _overall(self, take: Take) -> float:
        return self._score.overall(at_16_khz(take.samples))


def fidelity(takes: Sequence[Take], references: Sequence[Take]) -> dict[str, float]:
    """Mean PESQ and STOI of takes against what they were made from."""
    pairs = [
        (at_16_khz(before.samples), at_16_khz(after.samples))
        for after, before in zip(takes, references, strict=True)
    ]
    return {
        "pesq_wb": round(
            float(np.mean([pesq(RATE_HZ, before, after, "wb") for before, after in pairs])), 3
        ),
        "stoi": round(float(np.mean([stoi(before, after, RATE_HZ) for before, after in pairs])), 4),
    }


def at_16_khz(samples: Samples) -> NDArray[np.float32]:
    """What recogniser and measures take."""
    return soxr.resample(samples, SPEC.sample_rate_hz, RATE_HZ)
