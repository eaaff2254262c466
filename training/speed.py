"""Speed of the networks in CPU time on one thread, which depends little on other load."""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.codec import CodeWindow
from app.codec.builtin.load import SPEC
from app.engine.embedded.voices import VOICES
from training.encode import load_encoder
from training.networks.token_model import read_token_model
from training.seams import streamed
from training.speakers import Line, TeacherSpeaker, load_codec, speak_nar
from training.weight_files import Weights

PACE = 8.0  # speed of the streaming engine relative to real time


class Watch:
    """CPU time of this process since the creation of the watch."""

    def __init__(self) -> None:
        self._start_s = time.process_time()

    @property
    def spent_s(self) -> float:
        """CPU seconds of all threads."""
        return time.process_time() - self._start_s


def codec_speed(weights: Weights, lines: Sequence[Line]) -> dict[str, float]:
    """Measure real-time factors of encoder and decoder, whole and in a stream's windows."""
    encoder, codec = load_encoder(weights.encoder), load_codec(weights.decoder)
    takes = TeacherSpeaker().speak(lines, VOICES[0])
    audio_s = sum(len(take.samples) for take in takes) / SPEC.sample_rate_hz
    codec.decode([CodeWindow(encoder.encode(takes[0].samples))])
    watch = Watch()
    codes = [encoder.encode(take.samples) for take in takes]
    encoder_s, watch = watch.spent_s, Watch()
    for sentence in codes:
        codec.decode([CodeWindow(sentence)])
    decoder_s, watch = watch.spent_s, Watch()
    for sentence in codes:
        streamed(codec, sentence, PACE)
    return {
        "encoder_rtf": round(encoder_s / audio_s, 4),
        "decoder_rtf": round(decoder_s / audio_s, 4),
        "decoder_streamed_rtf": round(watch.spent_s / audio_s, 4),
    }


def nar_speed(weights: Weights, lines: Sequence[Line]) -> dict[str, float]:
    """Measure the one-pass model's real-time factor."""
    model = read_token_model(weights.token_model.read_bytes())
    chunks = [ids for line in lines for ids in line.chunks]
    speak_nar(model, chunks[:1], VOICES[0])
    watch = Watch()
    frames = sum(len(codes) for codes in speak_nar(model, chunks, VOICES[0]))
    return {"nar_rtf": round(watch.spent_s * SPEC.frames_per_s / frames, 4)}


def measure(weights: Weights, lines: Sequence[Line]) -> dict[str, float]:
    """Measure all networks that have weights."""
    found = codec_speed(weights, lines)
    if weights.token_model.exists():
        found |= nar_speed(weights, lines)
    return {"threads": 1, "sentences": len(lines), **found}
