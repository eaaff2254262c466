"""The teacher: hibari-tts' network, which also says how long it makes each phoneme last."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]
from hibari import Hibari, dsp  # pyright: ignore[reportMissingTypeStubs]
from hibari.tts import ASSETS  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from voices.train.aperiodicity import aperiodicity
from voices.train.timbre import UNVOICED_BELOW_HZ, Frames, Spectra, Timbre, changed

SAMPLES_PER_UNIT = 600  # durations count units of 25 ms at 24 kHz
DURATIONS = "/Clip_output_0"
SAMPLES_PER_PITCH = SAMPLES_PER_UNIT // 2
OWN = Timbre()
pulses_at = cast(Callable[[NDArray[np.float32]], NDArray[np.float32]], dsp.pulses)  # pyright: ignore[reportUnknownMemberType]
spectra_of = cast(Callable[[NDArray[np.float32], int], NDArray[np.complex64]], dsp.stft)  # pyright: ignore[reportUnknownMemberType]
synthesise = cast(Callable[..., NDArray[np.float32]], dsp.synth)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence as the teacher says it: 600 samples per unit of its phonemes' durations."""

    samples: NDArray[np.int16]
    units: list[int]
    pitch_hz: NDArray[np.float16]  # two a unit, 0 where unvoiced
    aperiodicity: NDArray[np.uint8]  # (two a unit, 20): see `voices.train.aperiodicity`


class _Graph(Protocol):
    """The part of onnxruntime's session that is used."""

    def run(
        self, outputs: None, inputs: Mapping[str, NDArray[np.int64] | NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]: ...


class _Rules(Protocol):
    """The part of hibari that is used."""

    model_path: str

    def phonemize(self, text: str) -> list[str]: ...

    def ids(self, phonemes: str) -> list[int]: ...


class Teacher:
    """Speaks phoneme ids with the voice in hibari-tts' package, on one thread."""

    def __init__(self) -> None:
        self._rules = cast(_Rules, Hibari())
        self._graph = load_graph(with_output(Path(self._rules.model_path).read_bytes(), DURATIONS))

    def phonemes(self, sentence: str) -> list[str]:
        """The phonemes of each sentence found in the text."""
        return self._rules.phonemize(sentence)

    def ids(self, phonemes: str) -> list[int]:
        """Phoneme ids, with a pad before and after."""
        return self._rules.ids(phonemes)

    def speak(
        self, ids: Sequence[int], speed: float, noise: np.random.Generator, timbre: Timbre = OWN
    ) -> Spoken:
        """Say phoneme ids; `noise` draws the breath of the voice."""
        inputs = {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)}
        outputs = self._graph.run(None, inputs)
        frames = changed(Frames(*(output[0] for output in outputs[:6])), timbre)
        sound = synthesise(*(getattr(frames, field.name) for field in fields(frames)), noise)
        samples = (sound.clip(-1, 1) * 32767).astype(np.int16)
        units = outputs[6].reshape(-1).astype(int).tolist()
        voiced = np.where(frames.pitch_hz > UNVOICED_BELOW_HZ, frames.pitch_hz, 0)
        return Spoken(samples, units, voiced.astype(np.float16), aperiodicity(*powers(frames)))


def powers(frames: Frames) -> tuple[Spectra, Spectra]:
    """The power of the pulses, and of all that is made without them."""
    pulses = np.abs(spectra_of(pulses_at(frames.pitch_hz), frames.harmonic.shape[1])) * np.exp(
        frames.harmonic
    )
    # The noise has two parts of unit power.
    return np.square(pulses), 2 * np.exp(2 * frames.noise) + np.exp(2 * frames.rest)


class _Options(Protocol):
    """The part of onnxruntime's session options that is used."""

    intra_op_num_threads: int
    inter_op_num_threads: int
    log_severity_level: int


def load_graph(model: bytes) -> _Graph:
    """An ONNX model, ready to run on one thread."""
    options = cast(_Options, ort.SessionOptions())  # pyright: ignore[reportUnknownMemberType]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return cast(_Graph, ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]))


def with_output(model: bytes, name: str) -> bytes:
    """An ONNX model with an inner float tensor as one more output.

    Protocol buffers merge a message that is given twice and join its lists, so a second graph
    (field 7 of the model) that holds only the output (field 12 of the graph: name 1, type 2) adds it.
    """
    float_tensor = _field(1, b"\x08\x01")
    return model + _field(7, _field(12, _field(1, name.encode()) + _field(2, float_tensor)))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of under 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def phoneme_table() -> dict[str, int]:
    """Every phoneme symbol's id; 0, the pad, has no symbol."""
    return cast(
        dict[str, int], json.loads((Path(ASSETS) / "vocab.json").read_text(encoding="utf-8"))
    )
