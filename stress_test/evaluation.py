"""Evaluation of a recorded response: failure, or figures of its audio."""

from __future__ import annotations

import numpy as np

from stress_test import defects
from stress_test.client import Recording
from stress_test.outcome import Failed, Outcome, Spoken
from stress_test.sound import Sound, decode
from stress_test.underruns import underruns
from stress_test.wav import NotAudio


def judge(
    recording: Recording, response_format: str, begin_s: float, *, find_defects: bool = True
) -> Outcome:
    """Return the outcome of a request; an answer without sound has failed.

    `begin_s`: start of the load by time.monotonic(); `find_defects`: search the samples for steps
    and silences.
    """
    if recording.error:
        return failed(recording, recording.error, begin_s)
    try:
        sound = decode(response_format, recording.chunks, recording.headers)
    except NotAudio:
        return failed(recording, "not audio" if recording.chunks else "no audio", begin_s)
    if not len(sound.samples):
        return failed(recording, "no audio", begin_s)
    if defects.is_silent(sound.samples):
        return failed(recording, "silent answer", begin_s)
    return spoken(recording, sound, begin_s, find_defects=find_defects)


def failed(recording: Recording, error: str, begin_s: float) -> Failed:
    """Return the failure with its times."""
    due_s = recording.due_s
    late_s = recording.sent_s - due_s
    return Failed(recording.ask.number, due_s - begin_s, late_s, recording.ended_s - due_s, error)


def spoken(
    recording: Recording, sound: Sound, begin_s: float, *, find_defects: bool = True
) -> Spoken:
    """Evaluate an answer that contains sound."""
    due_s = recording.due_s
    new = np.diff(sound.heard, prepend=0)
    pieces = [
        (at_s, int(count)) for at_s, count in zip(recording.came_s, new, strict=True) if count
    ]
    gaps, silent_s = underruns(pieces, sound.rate_hz)
    steps, seam_steps = _steps(recording, sound) if find_defects else (None, None)
    silences_s = defects.silences_s(sound.samples, sound.rate_hz) if find_defects else []
    return Spoken(
        number=recording.ask.number,
        due_s=due_s - begin_s,
        late_s=recording.sent_s - due_s,
        first_audio_s=pieces[0][0] - due_s,
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
    return len(found), defects.at_joins(found, sound.heard[recording.joins])
