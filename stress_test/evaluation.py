"""Evaluation of a recorded response: failure, or figures of its audio."""

from __future__ import annotations

import numpy as np

from stress_test import defects
from stress_test.client import Recording
from stress_test.outcome import Completed, Failed, Outcome
from stress_test.sound import Sound, decode
from stress_test.underruns import underruns
from stress_test.wav import NotAudio


def evaluate(
    recording: Recording, response_format: str, load_start_s: float, *, find_defects: bool = True
) -> Outcome:
    """Return the outcome of a request; an answer without sound has failed.

    `load_start_s`: start of the load by time.monotonic(); `find_defects`: search the samples for
    steps and silences.
    """
    if recording.error:
        return failed(recording, recording.error, load_start_s)
    try:
        sound = decode(response_format, recording.chunks, recording.headers)
    except NotAudio:
        return failed(recording, "not audio" if recording.chunks else "no audio", load_start_s)
    if not len(sound.samples):
        return failed(recording, "no audio", load_start_s)
    if defects.is_silent(sound.samples):
        return failed(recording, "silent answer", load_start_s)
    return evaluate_audio(recording, sound, load_start_s, find_defects=find_defects)


def failed(recording: Recording, error: str, load_start_s: float) -> Failed:
    """Return the failure with its times."""
    due_s = recording.due_s
    late_s = recording.sent_s - due_s
    return Failed(
        recording.request.number, due_s - load_start_s, late_s, recording.ended_s - due_s, error
    )


def evaluate_audio(
    recording: Recording, sound: Sound, load_start_s: float, *, find_defects: bool = True
) -> Completed:
    """Evaluate an answer that contains sound."""
    due_s = recording.due_s
    new = np.diff(sound.playable, prepend=0)
    chunks = [
        (at_s, int(count)) for at_s, count in zip(recording.arrived_s, new, strict=True) if count
    ]
    gaps, silent_s = underruns(chunks, sound.rate_hz)
    steps, seam_steps = _steps(recording, sound) if find_defects else (None, None)
    silences_s = defects.silences_s(sound.samples, sound.rate_hz) if find_defects else []
    return Completed(
        number=recording.request.number,
        due_s=due_s - load_start_s,
        late_s=recording.sent_s - due_s,
        first_audio_s=chunks[0][0] - due_s,
        latency_s=recording.ended_s - due_s,
        audio_s=len(sound.samples) / sound.rate_hz,
        underruns=gaps,
        underrun_s=silent_s,
        steps=steps,
        seam_steps=seam_steps,
        silences=len(silences_s),
        silence_s=sum(silences_s),
    )


def _steps(recording: Recording, sound: Sound) -> tuple[int | None, int | None]:
    if not sound.exact:
        return None, None
    found = defects.steps(sound.samples, sound.rate_hz)
    return len(found), defects.at_joins(found, sound.playable[recording.write_ends])
