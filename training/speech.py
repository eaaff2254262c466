"""Speak the sentences with the teacher: `python -m training.speech`.

Takes a hundredth of real time on one core. Writes `speech/held.*` and `speech/train.*`: samples,
pitch, aperiodicity, phonemes and their durations. A later run continues after the last sentence.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.aperiodicity import BANDS
from training.cast import TIMBRES, draw_voice
from training.codec_encoder import SAMPLE_RATE_HZ
from training.folder import add_folder
from training.teacher import SAMPLES_PER_PITCH, Spoken, Teacher
from training.utterances import SpeechSet, Utterance, format_line

PHONEMES = range(6, 180)
PACE = (0.95, 1.05)  # range of speeds relative to the teacher's own
PROGRESS_SENTENCES = 500
# Exceptions of hibari's rules on words that they cannot read.
UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def say(
    teacher: Teacher, sentence: str, number: int, seed: int, first_sample: int
) -> tuple[Utterance, Spoken] | None:
    """Speak a sentence. Return None if hibari splits it, or if it is too short or too long.

    Voice, pace and noise depend only on the seed and the sentence's number.
    """
    draw = np.random.default_rng((seed, number))
    voice = draw_voice(draw)
    pace = float(draw.uniform(*PACE))
    try:
        spoken = teacher.phonemes(sentence)
    except UNREADABLE:
        return None
    if len(spoken) != 1 or len(ids := teacher.ids(spoken[0])) not in PHONEMES:
        return None
    said = teacher.speak(ids, pace, draw, TIMBRES[voice])
    utterance = Utterance(
        number, sentence, spoken[0], ids, said.units, first_sample, len(said.samples), voice
    )
    return utterance, said


def speak_all(
    files: SpeechSet, sentences: list[str], hours: float, seed: int, minutes: float
) -> Iterator[int]:
    """Speak until `hours` of speech exist or `minutes` have passed. Yield the samples so far."""
    done = files.utterances()
    spoken = sum(utterance.samples for utterance in done)
    first = done[-1].sentence + 1 if done else 0
    files.folder.mkdir(parents=True, exist_ok=True)
    files.lines.write_text("".join(map(format_line, done)))
    frames = spoken // SAMPLES_PER_PITCH
    for path, size in (
        (files.pcm, 2 * spoken),
        (files.pitch, 2 * frames),
        (files.aperiodicity, BANDS * frames),
    ):
        path.touch()
        if path.stat().st_size < size:
            raise SystemExit(f"{path} is shorter than {files.lines} says: use another folder")
        os.truncate(path, size)
    teacher, end_s = Teacher(), time.monotonic() + 60 * minutes
    with (
        files.lines.open("a") as lines,
        files.pcm.open("ab") as pcm,
        files.pitch.open("ab") as pitch,
        files.aperiodicity.open("ab") as aperiodicity,
    ):
        for number in range(first, len(sentences)):
            if spoken >= hours * 3600 * SAMPLE_RATE_HZ or time.monotonic() >= end_s:
                return
            said = say(teacher, sentences[number], number, seed, spoken)
            if said is None:
                continue
            pcm.write(said[1].samples.astype("<i2").tobytes())
            pitch.write(said[1].pitch_hz.astype("<f2").tobytes())
            aperiodicity.write(said[1].aperiodicity.tobytes())
            for file in (pcm, pitch, aperiodicity):
                file.flush()
            lines.write(format_line(said[0]))
            spoken += said[0].samples
            yield spoken


def main(arguments: list[str] | None = None) -> None:
    """Speak the held-out sentences, then the training ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    parser.add_argument("--hours", type=float, default=10, help="hours of training speech")
    parser.add_argument("--minutes", type=float, default=60, help="time limit for each set")
    options = parser.parse_args(arguments)
    for name, source in (("held", "held.txt"), ("train", "sentences.txt")):
        speak_set(SpeechSet(options.data / "speech", name), options.data / source, options)


def speak_set(files: SpeechSet, source: Path, options: argparse.Namespace) -> None:
    """Speak one set, and print progress every 500 sentences."""
    spoken, start_s = 0, time.monotonic()
    progress = speak_all(
        files, source.read_text().splitlines(), options.hours, options.seed, options.minutes
    )
    for count, samples in enumerate(progress, start=1):
        spoken = samples
        if count % PROGRESS_SENTENCES == 0:
            took_s = time.monotonic() - start_s
            line = f"{files.name} {count} sentences {_hours(spoken):.2f} h in {took_s:.0f} s"
            print(line, flush=True)
    print(f"{files.name}: {len(files.utterances())} sentences, {_hours(spoken):.2f} h", flush=True)


def _hours(samples: int) -> float:
    return samples / SAMPLE_RATE_HZ / 3600


if __name__ == "__main__":
    main()
