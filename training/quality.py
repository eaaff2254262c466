"""Speech quality: word error rate and DNSMOS, and PESQ and STOI against a reference.

Needs '.[judge,train]'. DNSMOS is P.835 (Reddy et al. 2022, arXiv:2110.01763) with the network of
the package `speechmos`. PESQ is ITU-T P.862.2 (wide band). STOI is that of Taal et al. 2011.
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

from app.audio.samples import Samples
from app.codec.builtin.load import SPEC
from bench.judge import RATE_HZ, Judge, normalise, word_error_rate
from training.speakers import Line, Take
from training.teacher import load_graph

DNSMOS_SAMPLES = int(9.01 * RATE_HZ)  # input length of its network
# The package's fit of the network's third output to listeners' ratings.
OVERALL = np.poly1d((-0.06766283, 1.11546468, 0.04602535))


class OpinionScore:
    """DNSMOS on one thread, over 9.01 s: a sentence is repeated to that length.

    The package itself averages about five such excerpts, a second apart. The result differs by less
    than 0.03.
    """

    def __init__(self) -> None:
        model = files("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx"
        self._network = load_graph(model.read_bytes())

    def overall(self, samples: Samples) -> float:
        """Return the overall quality of 16 kHz samples, from 1 to 5."""
        excerpt = np.resize(samples, (1, DNSMOS_SAMPLES)).clip(-1, 1).astype(np.float32)
        (numbers,) = self._network.run(None, {"input_1": excerpt})
        return float(OVERALL(numbers[0, 2]))


class SpeechRater:
    """Speech recogniser and DNSMOS. Each worker rates one sentence at a time, on one thread."""

    def __init__(self, workers: int = 1) -> None:
        self._judge = Judge(workers)
        self._score = OpinionScore()
        self._workers = workers

    def understand(self, lines: Sequence[Line], takes: Sequence[Take]) -> dict[str, object]:
        """Return the word error rate, and each line that was not recognised exactly."""
        with ThreadPoolExecutor(self._workers) as pool:
            transcripts = list(pool.map(self._transcribe, takes))
        texts = [line.text for line in lines]
        pairs = zip(texts, transcripts, strict=True)
        return {
            "sentences": len(texts),
            "word_error_rate": round(word_error_rate(texts, transcripts), 4),
            "misheard": [
                {"text": text, "heard": transcript}
                for text, transcript in pairs
                if normalise(text) != normalise(transcript)
            ],
        }

    def rate(self, takes: Sequence[Take]) -> float:
        """Return the mean DNSMOS."""
        with ThreadPoolExecutor(self._workers) as pool:
            scores = list(pool.map(self._overall, takes))
        return round(float(np.mean(scores)), 3)

    def _transcribe(self, take: Take) -> str:
        return self._judge.transcribe(take.samples, SPEC.sample_rate_hz)

    def _overall(self, take: Take) -> float:
        return self._score.overall(at_16_khz(take.samples))


def fidelity(takes: Sequence[Take], references: Sequence[Take]) -> dict[str, float]:
    """Return mean PESQ and STOI of takes against their references."""
    pairs = [
        (at_16_khz(before.samples), at_16_khz(after.samples))
        for after, before in zip(takes, references, strict=True)
    ]
    pesq_wb = float(np.mean([pesq(RATE_HZ, before, after, "wb") for before, after in pairs]))
    mean_stoi = float(np.mean([stoi(before, after, RATE_HZ) for before, after in pairs]))
    return {"pesq_wb": round(pesq_wb, 3), "stoi": round(mean_stoi, 4)}


def at_16_khz(samples: Samples) -> NDArray[np.float32]:
    """Resample to the rate of recogniser and measures."""
    return soxr.resample(samples, SPEC.sample_rate_hz, RATE_HZ)
