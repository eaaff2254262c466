"""Lengths of generated speech compared with the teacher's, and run-ons that never end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import Qwen3ForCausalLM

from app.engine.embedded.voices import VOICES
from training.speakers import Line, Take, TeacherSpeaker, max_frames, speak_lm
from training.utterances import SpeechSet

TOLERANCE = 0.3  # share of the teacher's length


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of each chunk in frames: the model's, the teacher's, and the limit."""

    model: list[int]
    teacher: list[int]
    limit: list[int]

    def report(self) -> dict[str, float]:
        """Return the share of chunks within 30 % of the teacher's length, and run-ons."""
        ratios = np.array(self.model) / np.array(self.teacher)
        return {
            "pieces": len(ratios),
            "length_ratio_mean": round(float(ratios.mean()), 3),
            "length_within_30_percent": round(float((np.abs(ratios - 1) <= TOLERANCE).mean()), 4),
            "run_on": sum(
                made >= limit for made, limit in zip(self.model, self.limit, strict=True)
            ),
        }


def collect_lengths(
    lines: Sequence[Line], takes: Sequence[Take], references: Sequence[Take]
) -> Lengths:
    """Return the lengths of all chunks."""
    return Lengths(
        [frames for take in takes for frames in take.frames],
        [frames for take in references for frames in take.frames],
        [max_frames(ids) for line in lines for ids in line.chunks],
    )


def run_ons(
    model: Qwen3ForCausalLM, lines: Sequence[Line], temperature: float, seed: int
) -> dict[str, float]:
    """Count the language model's run-ons over many lines, with alternating voices."""
    teacher = TeacherSpeaker()
    lengths = Lengths([], [], [])
    for number, voice in enumerate(VOICES):
        share = lines[number :: len(VOICES)]
        chunks = [ids for line in share for ids in line.chunks]
        lengths.model.extend(map(len, speak_lm(model, chunks, voice, temperature, seed)))
        lengths.teacher.extend(frames for line in share for frames in teacher.frames(line))
        lengths.limit.extend(map(max_frames, chunks))
    return {"temperature": temperature, **lengths.report()}


def untrained_sentences(data: Path, count: int) -> list[str]:
    """Return sentences that were never trained on.

    These are the held-out sentences, then the last ones of the list, which the teacher did not
    speak.

    Raises:
        ValueError: the teacher has spoken too many sentences.
    """
    held, rest = ((data / name).read_text().splitlines() for name in ("held.txt", "sentences.txt"))
    spoken = SpeechSet(data / "speech", "train").utterances()
    first_unspoken = spoken[-1].sentence + 1 if spoken else 0
    wanted = max(0, count - len(held))
    if len(rest) - first_unspoken < wanted:
        raise ValueError(
            f"of {len(rest)} sentences only {len(rest) - first_unspoken} were not trained on"
        )
    return [*held[:count], *rest[len(rest) - wanted :]]
