"""Comparison of two answers: equal bytes, equal samples, and the noise between them."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.answers import Answer, compare, decode, mask
from tests.stress_test.server import pcm, streamed_wav, tone, wav

PCM: dict[str, object] = {"response_format": "pcm"}
WAV: dict[str, object] = {"response_format": "wav"}


def ogg(samples: NDArray[np.float32]) -> bytes:
    """Return an Ogg file with a serial number that ffmpeg draws at random."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=24_000)
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], layout="mono")
        frame.sample_rate = 24_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def test_equal_bytes_are_identical() -> None:
    answer = Answer((pcm(tone(0.1)),), {"status": 200})
    assert compare(answer, answer, PCM).kind == "identical"


def test_answers_without_audio_are_not_identical() -> None:
    refused = Answer(facts={"status": 429})
    assert compare(refused, refused, PCM).kind == "no audio"


def test_another_header_leaves_the_same_samples() -> None:
    old, new = Answer((wav(tone(0.1)),)), Answer((streamed_wav(tone(0.1)),))
    found = compare(old, new, WAV)
    assert (found.kind, found.first_byte, found.first_sample) == ("same samples", 4, None)
    assert found.samples == (2_400, 2_400)


def test_a_last_step_is_rounding_and_another_voice_is_not() -> None:
    samples = np.frombuffer(pcm(tone(0.1)), "<i2").copy()
    samples[1_000] += 1
    found = compare(Answer((pcm(tone(0.1)),)), Answer((samples.tobytes(),)), PCM)
    assert (found.kind, found.first_byte, found.first_sample) == ("rounding", 2_000, 1_000)
    assert found.snr_db is not None
    assert found.snr_db > 90
    louder = compare(Answer((pcm(tone(0.1)),)), Answer((pcm(tone(0.1, level=0.5)),)), PCM)
    assert louder.kind == "different"
    assert louder.snr_db == pytest.approx(0.0, abs=0.1)


def test_a_shorter_answer_is_different() -> None:
    found = compare(Answer((pcm(tone(0.2)),)), Answer((pcm(tone(0.2))[:-2],)), PCM)
    assert (found.kind, found.samples, found.first_sample) == ("different", (4_800, 4_799), 4_799)


def test_a_fact_that_differs_is_named_with_both_values() -> None:
    audio = (pcm(tone(0.1)),)
    found = compare(Answer(audio, {"status": 200}), Answer(audio, {"status": 206}), PCM)
    assert found.kind == "different"
    assert found.facts == {"status": ("200", "206")}


def test_only_the_random_bytes_of_ogg_are_masked() -> None:
    one, other, louder = ogg(tone(1.0)), ogg(tone(1.0)), ogg(tone(1.0, level=0.5))
    assert one != other
    assert mask(one) == mask(other) != mask(louder)
    assert len(mask(one)) == len(one)
    pages = one.count(b"OggS")
    changed = sum(old != new for old, new in zip(one, mask(one), strict=True))
    assert pages > 2
    assert changed <= 8 * pages


@pytest.mark.parametrize("cut", [1, 5, 27, 40])
def test_a_cut_ogg_body_is_masked_as_far_as_it_goes(cut: int) -> None:
    assert len(mask(ogg(tone(0.1))[:cut])) == cut


def test_a_body_that_is_not_audio_is_different() -> None:
    found = compare(Answer((wav(tone(0.1)),)), Answer((b"nothing",)), WAV)
    assert (found.kind, found.samples) == ("different", None)


@pytest.mark.parametrize("encoding", ["pcm_mulaw", "pcm_alaw"])
def test_companded_bodies_are_decoded_one_after_the_other(encoding: str) -> None:
    fields: dict[str, object] = {"response_format": "pcm", "encoding": encoding}
    assert len(decode((bytes(80), bytes(40)), fields)) == 120
