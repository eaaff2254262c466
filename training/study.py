"""The parts of the measurement of the voices."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from app.engine.embedded.voices import VOICES
from training import seams, speed
from training.encode import load_encoder
from training.export import expand
from training.language_model import read_language_model
from training.run_ons import collect_lengths, run_ons
from training.speakers import SPEAKERS, Line, Speaker, TeacherSpeaker, load_codec, load_speaker
from training.weight_files import Weights

if TYPE_CHECKING:
    from training.quality import SpeechRater

OTHER_VOICES_STEP = 2  # other voices speak every second sentence
DNSMOS_SENTENCES = 50
SPEED_SENTENCES = 24
SEAM_SENTENCES = 10
PARTS = (*SPEAKERS, "streaming", "speed")
RUN_ONS = "run_ons"
NETWORKS_OF_PART: Mapping[str, tuple[str, ...]] = {
    "teacher": (),
    "codec": ("encoder", "decoder"),
    "lm-greedy": ("language_model", "decoder"),
    "lm": ("language_model", "decoder"),
    "nar": ("token_model", "decoder"),
    "streaming": ("encoder", "decoder"),
    "speed": ("encoder", "decoder", "token_model"),
    RUN_ONS: ("language_model",),
}

Part = dict[str, object]


@dataclass(frozen=True, slots=True)
class Study:
    """Weights, sentences and options of a measurement."""

    weights: Weights
    everyday: list[Line]
    dictionary: list[Line]
    temperature: float
    seed: int
    workers: int
    judge: bool

    def lines(self, voice: str) -> list[Line]:
        """Return the everyday sentences for a voice."""
        return self.everyday[:: 1 if voice == VOICES[0] else OTHER_VOICES_STEP]


def measure_part(name: str, study: Study) -> Part:
    """Measure one part, and add its date and duration."""
    parts: dict[str, Callable[[Study], Part]] = {
        "streaming": _streaming,
        "speed": _speed,
        RUN_ONS: _run_ons,
    }
    print(f"{name} ...", flush=True)
    start_s, date = time.monotonic(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    found = parts[name](study) if name in parts else _speech(study, name)
    seconds = round(time.monotonic() - start_s)
    print(f"{name}: {seconds} s  {_brief(found)}", flush=True)
    return {"date": date, "seconds": seconds, **found}


def possible(names: Sequence[str], weights: Weights) -> list[str]:
    """Return the parts whose weights exist."""
    files = asdict(weights)
    needed = ((name, files[network]) for name in names for network in NETWORKS_OF_PART[name])
    missing = {name: path for name, path in needed if not path.exists()}
    for name, path in missing.items():
        print(f"{name}: no weights at {path}", flush=True)
    return [name for name in names if name not in missing]


def _speech(study: Study, name: str) -> Part:
    """Measure a speaker in each voice."""
    speaker = load_speaker(name, study.weights, study.temperature, study.seed)
    found: Part = {"temperature": study.temperature} if name == "lm" else {}
    for voice in VOICES:
        measured = _voice(study, name, speaker, voice)
        print(f"  {name}, {voice}: {_brief(measured)}", flush=True)
        found[voice] = measured
    return found


def _voice(study: Study, name: str, speaker: Speaker, voice: str) -> Part:
    lines = study.lines(voice)
    takes, references = speaker.speak(lines, voice), _teacher().speak(lines, voice)
    measured: Part = (
        {}
        if name in ("teacher", "codec")
        else {**collect_lengths(lines, takes, references).report()}
    )
    if not study.judge:
        return measured
    from training.quality import fidelity  # noqa: PLC0415 - lengths do not need this extra

    rater, rated = _rater(study.workers), takes[:DNSMOS_SENTENCES]
    measured |= {
        **rater.understand(lines, takes),
        "dnsmos": rater.rate(rated),
        "dnsmos_sentences": len(rated),
    }
    if name == "codec":
        measured |= fidelity(takes, references)
    if voice == VOICES[0] and study.dictionary:
        measured["dictionary"] = rater.understand(
            study.dictionary, speaker.speak(study.dictionary, voice)
        )
    return measured


@cache
def _teacher() -> TeacherSpeaker:
    return TeacherSpeaker()


@cache
def _rater(workers: int) -> SpeechRater:
    from training.quality import SpeechRater  # noqa: PLC0415 - as above

    return SpeechRater(workers)


def _streaming(study: Study) -> Part:
    """Compare streamed with whole decoding, over the codes of the teacher's speech."""
    takes = _teacher().speak(study.everyday[:SEAM_SENTENCES], VOICES[0])
    encoder = load_encoder(study.weights.encoder)
    return {
        **seams.compare(
            load_codec(study.weights.decoder), [encoder.encode(take.samples) for take in takes]
        )
    }


def _speed(study: Study) -> Part:
    """Measure real-time factors."""
    return {**speed.measure(study.weights, study.everyday[:SPEED_SENTENCES])}


def _run_ons(study: Study) -> Part:
    """Count run-ons, greedy and at the default temperature."""
    model = expand(read_language_model(study.weights.language_model.read_bytes()))
    return {
        name: run_ons(model, study.everyday, temperature, study.seed)
        for name, temperature in (("lm-greedy", 0.0), ("lm", study.temperature))
    }


def _brief(measured: Mapping[str, object]) -> str:
    """Format the numbers of a measurement, without the misheard lines."""
    return ", ".join(
        f"{name} {value}" for name, value in measured.items() if isinstance(value, int | float)
    )
