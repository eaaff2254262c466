"""Uploaded recordings: every usual format gives the same audio, and all else a clear rejection."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cloning.recording import RATE_HZ, ReferenceLimits, decode_reference
from app.errors import (
    InvalidAudio,
    ReferenceSilent,
    ReferenceTooLong,
    ReferenceTooShort,
    RequestError,
)
from tests.cloning.recordings import CODECS, film, recording, tone, with_cover

pytestmark = pytest.mark.process

LIMITS = ReferenceLimits(min_s=1.0, max_s=5.0)
PADDED = {"mp3", "aac", "m4a", "opus", "webm"}  # formats that may begin or end with some silence
RATES = {
    **dict.fromkeys(("wav", "float", "flac", "aiff"), (8_000, 16_000, 44_100, 96_000)),
    **dict.fromkeys(("mp3", "m4a", "aac"), (16_000, 22_050, 44_100, 48_000)),
    "opus": (16_000, 48_000),
    "webm": (48_000,),
}


def pitch_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax()) * RATE_HZ / len(samples)


@pytest.mark.parametrize(
    ("kind", "rate_hz", "channels"),
    [
        *((kind, rate, 1) for kind in CODECS for rate in RATES[kind]),
        *((kind, 48_000, 2) for kind in CODECS),
    ],
)
def test_every_usual_format_is_read(kind: str, rate_hz: int, channels: int) -> None:
    samples = decode_reference(recording(kind, 2.0, rate_hz, channels), LIMITS)
    assert samples.dtype == np.float32
    assert len(samples) / RATE_HZ == pytest.approx(2.0, abs=0.15 if kind in PADDED else 0.001)
    assert pitch_hz(samples) == pytest.approx(300, abs=8)
    middle = samples[RATE_HZ // 2 : RATE_HZ]
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_channels_are_averaged() -> None:
    left = tone(2.0, channels=2)
    left[1] = 0
    samples = decode_reference(recording("float", sound=left, channels=2), LIMITS)
    assert np.allclose(samples, left[0] / 2, atol=1e-6)


def test_a_cover_is_no_film() -> None:
    samples = decode_reference(with_cover(), LIMITS)
    assert len(samples) / RATE_HZ == pytest.approx(2.0, abs=0.15)


def test_sixteen_khz_comes_as_it_is() -> None:
    assert np.array_equal(decode_reference(recording("float", 2.0), LIMITS), tone(2.0)[0])


def test_a_streamed_wav_that_does_not_know_its_size_is_read() -> None:
    data = bytearray(recording("wav", 2.0))
    at = data.index(b"data")
    data[4:8] = data[at + 4 : at + 8] = b"\xff" * 4
    assert len(decode_reference(bytes(data), LIMITS)) == 2 * RATE_HZ


@pytest.mark.parametrize(
    ("length_s", "fits"), [(0.9, False), (1.0, True), (5.0, True), (5.2, False), (60, False)]
)
def test_the_length_has_limits(length_s: float, fits: bool) -> None:
    data = recording("flac", length_s)
    if fits:
        assert len(decode_reference(data, LIMITS)) == length_s * RATE_HZ
        return
    with pytest.raises(ReferenceTooShort if length_s < 1 else ReferenceTooLong):
        decode_reference(data, LIMITS)


def claiming(length_s: float) -> bytes:
    """A WAV of 2 s that says it is longer."""
    data = bytearray(recording("wav", 2.0))
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", round(length_s * RATE_HZ * 2))
    return bytes(data)


def flac_claiming(length_s: float) -> bytes:
    """A FLAC of 2 s that says it is longer."""
    data = bytearray(recording("flac", 2.0))
    at = 8 + 10  # "fLaC", a block's header, then rates and the 36 bits of the number of samples
    data[at + 4 : at + 8] = struct.pack(">I", round(length_s * RATE_HZ))
    return bytes(data)


def text_playlist() -> bytes:
    return (
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    )


HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "zeros": lambda: bytes(100_000),
    "text": lambda: b"not audio at all " * 1000,
    "png": lambda: b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "film": film,
    "playlist": text_playlist,
    "concat": lambda: b"ffconcat version 1.0\nfile /etc/passwd\n",
    "wav that claims 10 h": lambda: claiming(36_000),
    "flac that claims 10 h": lambda: flac_claiming(36_000),
    "wav cut in half": lambda: recording("wav", 4.0)[:64_000],
    "flac cut in half": lambda: (data := recording("flac", 4.0))[: len(data) // 2],
    "m4a cut in half": lambda: (data := recording("m4a", 4.0))[: len(data) // 2],
    "webm's header": lambda: recording("webm", 4.0, 48_000)[:300],
    "wav's header": lambda: recording("wav", 4.0)[:60],
    "wav of an unknown codec": lambda: (
        recording("wav", 2.0)[:20] + b"\x34\x12" + recording("wav", 2.0)[22:]
    ),
    "4 kHz": lambda: recording("wav", 4.0, 4_000),
    "no numbers": lambda: recording("float", sound=np.full((1, 32_000), np.nan, np.float32)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_sound_is_refused(name: str) -> None:
    with pytest.raises(InvalidAudio) as caught:
        decode_reference(HOSTILE[name](), LIMITS)
    assert caught.value.status == 400


def test_sound_that_is_too_loud_is_clipped() -> None:
    samples = decode_reference(recording("float", sound=100 * tone(2.0)), LIMITS)
    assert np.abs(samples).max() == 1


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_is_refused(level: float) -> None:
    with pytest.raises(ReferenceSilent):
        decode_reference(recording("float", sound=level * tone(2.0)), LIMITS)


def test_a_word_between_silences_is_heard() -> None:
    sound = tone(4.0)
    sound[:, 8_000:] = 0
    assert len(decode_reference(recording("float", sound=sound), LIMITS)) == 64_000


def test_decoding_ends_at_its_time_limit() -> None:
    with pytest.raises(InvalidAudio):
        decode_reference(recording("flac", 4.0), ReferenceLimits(decode_s=0.0))


@pytest.mark.parametrize("containers", [None, "concat,wav"])
def test_a_playlist_does_not_read_this_machines_files(
    containers: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the list of containers nor that of protocols lets it: each would do alone."""
    (tmp_path / "secret.wav").write_bytes(recording("wav", 2.0))
    monkeypatch.chdir(tmp_path)
    playlist = b"ffconcat version 1.0\nfile secret.wav\n"
    with av.open(io.BytesIO(playlist)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == 32_000  # FFmpeg would
    if containers is not None:
        monkeypatch.setattr("app.cloning.recording.CONTAINERS", containers)
    with pytest.raises(InvalidAudio):
        decode_reference(playlist, LIMITS)


@given(
    kind=st.sampled_from(sorted(CODECS)),
    cuts=st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=8)), max_size=4),
    end=st.integers(0, 20_000),
)
@settings(max_examples=30, deadline=None)
def test_damage_gives_sound_or_a_refusal(
    kind: str, cuts: list[tuple[int, bytes]], end: int
) -> None:
    data = bytearray(recording(kind, 1.2, 48_000 if kind == "webm" else 16_000))
    for at, noise in cuts:
        data[at : at + len(noise)] = noise
    try:
        samples = decode_reference(bytes(data[: len(data) - end]), LIMITS)
    except RequestError:
        return
    assert RATE_HZ <= len(samples) <= 5.2 * RATE_HZ
    assert np.abs(samples).max() <= 1
