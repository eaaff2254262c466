"""The teacher: hibari-tts' network, with the durations of its phonemes."""

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

from training.aperiodicity import aperiodicity
from training.timbre import UNVOICED_BELOW_HZ, Frames, Spectra, Timbre, change_timbre

SAMPLES_PER_UNIT = 600  # a unit of duration is 25 ms, at 24 kHz
DURATIONS = "/Clip_output_0"
SAMPLES_PER_PITCH = SAMPLES_PER_UNIT // 2
OWN = Timbre()
pulses_at = cast(Callable[[NDArray[np.float32]], NDArray[np.float32]], dsp.pulses)  # pyright: ignore[reportUnknownMemberType]
spectra_of = cast(Callable[[NDArray[np.float32], int], NDArray[np.complex64]], dsp.stft)  # pyright: ignore[reportUnknownMemberType]
synthesise = cast(Callable[..., NDArray[np.float32]], dsp.synth)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence spoken by the teacher: 600 samples per unit of its phonemes' durations."""

    samples: NDArray[np.int16]
    units: list[int]
    pitch_hz: NDArray[np.float16]  # two per unit, 0 if unvoiced
    aperiodicity: NDArray[np.uint8]  # (two per unit, 20): see `training.aperiodicity`


class _Graph(Protocol):
    """The used part of onnxruntime's session."""

    def run(
        self, outputs: None, inputs: Mapping[str, NDArray[np.int64] | NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]: ...


class _Rules(Protocol):
    """The used part of hibari."""

    model_path: str

    def phonemize(self, text: str) -> list[str]: ...

    def ids(self, phonemes: str) -> list[int]: ...


class Teacher:
    """Speaks phoneme ids with hibari-tts' voice, on one thread."""

    def __init__(self) -> None:
        self._rules = cast(_Rules, Hibari())
        self._graph = load_graph(with_output(Path(self._rules.model_path).read_bytes(), DURATIONS))

    def phonemes(self, sentence: str) -> list[str]:
        """Return the phonemes of each sentence that hibari finds in the text."""
        return self._rules.phonemize(sentence)

    def ids(self, phonemes: str) -> list[int]:
        """Return phoneme ids with a pad before and after."""
        return self._rules.ids(phonemes)

    def speak(
        self, ids: Sequence[int], speed: float, noise: np.random.Generator, timbre: Timbre = OWN
    ) -> Spoken:
        """Speak phoneme ids. `noise` generates the breath noise of the voice."""
        inputs = {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)}
        outputs = self._graph.run(None, inputs)
        frames = change_timbre(Frames(*(output[0] for output in outputs[:6])), timbre)
        sound = synthesise(*(getattr(frames, field.name) for field in fields(frames)), noise)
        samples = (sound.clip(-1, 1) * 32767).astype(np.int16)
        units = outputs[6].reshape(-1).astype(int).tolist()
        voiced = np.where(frames.pitch_hz > UNVOICED_BELOW_HZ, frames.pitch_hz, 0)
        return Spoken(samples, units, voiced.astype(np.float16), aperiodicity(*powers(frames)))


def powers(frames: Frames) -> tuple[Spectra, Spectra]:
    """Return the power of the pulses, and of all other parts."""
    spectra = spectra_of(pulses_at(frames.pitch_hz), frames.harmonic.shape[1])
    pulses = np.abs(spectra) * np.exp(frames.harmonic)
    # The noise is the sum of two parts of unit power.
    return np.square(pulses), 2 * np.exp(2 * frames.noise) + np.exp(2 * frames.rest)


class _Options(Protocol):
    """The used part of onnxruntime's session options."""

    intra_op_num_threads: int
    inter_op_num_threads: int
    log_severity_level: int


def load_graph(model: bytes) -> _Graph:
    """Load an ONNX model that runs on one thread."""
    options = cast(_Options, ort.SessionOptions())  # pyright: ignore[reportUnknownMemberType]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return cast(_Graph, ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]))


def with_output(model: bytes, name: str) -> bytes:
    """Add an inner float tensor to the outputs of an ONNX model.

    Protocol buffers merge a message that occurs twice, and concatenate its lists. The output is
    added by appending a second graph (field 7 of the model) that has only this output (field 12 of
    the graph: name 1, type 2).
    """
    float_tensor = _field(1, b"\x08\x01")
    return model + _field(7, _field(12, _field(1, name.encode()) + _field(2, float_tensor)))


def _field(number: int, content: bytes) -> bytes:
    """Encode a length-delimited field of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def phoneme_table() -> dict[str, int]:
    """Return the id of each phoneme symbol. The pad, 0, has no symbol."""
    text = (Path(ASSETS) / "vocab.json").read_text(encoding="utf-8")
    return cast(dict[str, int], json.loads(text))
