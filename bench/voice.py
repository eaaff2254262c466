"""Intelligibility, speed, memory and loudness of the built-in voice: `python -m bench.voice`.

Everything runs on one thread; engine and codec are called directly. Needs '.[judge]'. Takes about a
minute.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.builtin.load import load_builtin_codec
from app.codec.eager import EagerCodec
from app.config.profiles import load_profile
from app.engine import Sampling, TokenNumbers
from app.engine.embedded.engine import BuiltinEngine
from app.text.prompt import render
from bench.machine import write_result

HERE = Path(__file__).parent
README_SENTENCE = "Hello! How can I help you? can I get your passport number sir."
BLOCK_S = 0.02
VOICED_DB = -45.0
STREAM_FRAMES = 25  # new frames of a streamed window: 0.5 s


@dataclass(frozen=True, slots=True)
class Take:
    """One synthesised sentence, and the duration of each step."""

    text: str
    samples: Samples
    first_tokens_s: float
    tokens_s: float
    decode_s: float


async def speak(engine: BuiltinEngine, codec: EagerCodec, text: str) -> Take:
    """Generate all tokens, then decode them in one call."""
    codes: list[int] = []
    arrivals_s: list[float] = []

    def on_tokens(numbers: TokenNumbers) -> None:
        arrivals_s.append(time.perf_counter())
        codes.extend(numbers)

    start_s = time.perf_counter()
    prompt = render(load_profile("builtin").prompt, voice="lark", text=text)
    await engine.generate(prompt, Sampling(max_tokens=3072), on_tokens)
    tokens_s = time.perf_counter() - start_s
    window = CodeWindow(np.array(codes, np.int32)[:, None])
    start_decode_s = time.perf_counter()
    samples = codec.decode([window])[0]
    return Take(
        text, samples, arrivals_s[0] - start_s, tokens_s, time.perf_counter() - start_decode_s
    )


def streamed_decode_s(codec: EagerCodec, frames: int) -> float:
    """Return the seconds to decode `frames` frames in windows of 0.5 s with full context."""
    codes = np.random.default_rng(0).integers(0, codec.spec.vocabulary, (frames, 1), np.int32)
    left, right = codec.spec.left_context_frames, codec.spec.right_context_frames
    start_s = time.perf_counter()
    for done in range(0, frames, STREAM_FRAMES):
        codec.decode([CodeWindow(codes[max(0, done - left) : done + STREAM_FRAMES + right])])
    return time.perf_counter() - start_s


def voiced_db(samples: Samples, rate_hz: int) -> float:
    """Return the RMS level in dBFS over the 20 ms blocks above -45 dBFS."""
    size = int(rate_hz * BLOCK_S)
    power = (samples[: len(samples) // size * size].reshape(-1, size) ** 2).mean(1)
    return float(10 * np.log10(power[power > 10 ** (VOICED_DB / 10)].mean()))


def resident_mb() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


def loudness(takes: list[Take], rate_hz: int) -> dict[str, float]:
    """Return the levels over all sentences."""
    levels = [voiced_db(take.samples, rate_hz) for take in takes]
    return {
        "voiced_rms_db_median": round(statistics.median(levels), 1),
        "voiced_rms_db_deviation": round(statistics.stdev(levels), 2),
        "voiced_rms_db_min": round(min(levels), 1),
        "voiced_rms_db_max": round(max(levels), 1),
        "peak_db": round(
            float(20 * np.log10(max(np.abs(take.samples).max() for take in takes))), 1
        ),
    }


def speed(takes: list[Take], codec: EagerCodec) -> dict[str, float]:
    """Return real-time factors (seconds of work per second of speech) and times to first tokens."""
    audio_s = sum(len(take.samples) for take in takes) / codec.spec.sample_rate_hz
    streamed_frames = 1000
    return {
        "audio_s": round(audio_s, 1),
        "characters_per_second": round(sum(len(take.text) for take in takes) / audio_s, 1),
        "rtf_tokens": round(sum(take.tokens_s for take in takes) / audio_s, 4),
        "rtf_decode_whole": round(sum(take.decode_s for take in takes) / audio_s, 4),
        "rtf_decode_half_second_windows": round(
            streamed_decode_s(codec, streamed_frames) / (streamed_frames / codec.spec.frames_per_s),
            4,
        ),
        "first_tokens_ms_median": round(
            1e3 * statistics.median(take.first_tokens_s for take in takes), 1
        ),
        "first_tokens_ms_max": round(1e3 * max(take.first_tokens_s for take in takes), 1),
    }


def transcribe_all(takes: list[Take], rate_hz: int) -> dict[str, object]:
    """Return the word error rate and the sentences that were transcribed differently."""
    from bench.judge import Judge, normalise, word_error_rate  # noqa: PLC0415

    judge = Judge()
    transcripts = [judge.transcribe(take.samples, rate_hz) for take in takes]
    texts = [take.text for take in takes]
    pairs = zip(texts[:-1], transcripts[:-1], strict=True)
    return {
        "word_error_rate": round(word_error_rate(texts[:-1], transcripts[:-1]), 4),
        "misheard": [
            {"text": text, "heard": transcript}
            for text, transcript in pairs
            if normalise(text) != normalise(transcript)
        ],
        "readme_heard": transcripts[-1],
    }


async def measure() -> dict[str, object]:
    """Synthesise the sentences of sentences.txt and of the README, and transcribe them."""
    texts = [*(HERE / "sentences.txt").read_text().splitlines(), README_SENTENCE]
    before_mb, start_s = resident_mb(), time.perf_counter()
    codec = load_builtin_codec()
    engine = BuiltinEngine()
    await engine.start()
    loading = {"load_s": round(time.perf_counter() - start_s, 2), "imports_mb": before_mb}
    takes = [await speak(engine, codec, text) for text in texts]
    await engine.close()
    rate_hz = codec.spec.sample_rate_hz
    return {
        "threads": 1,
        "sentences": len(texts) - 1,
        **loading,
        "resident_mb": resident_mb(),
        **speed(takes[:-1], codec),
        **loudness(takes[:-1], rate_hz),
        **transcribe_all(takes, rate_hz),
    }


def main() -> None:
    """Measure and write the result."""
    torch.set_num_threads(1)
    write_result("voice", asyncio.run(measure()))


if __name__ == "__main__":
    main()
