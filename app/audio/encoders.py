# pyright: reportUnknownMemberType=false
"""Audio formats of a response, and their encoder on FFmpeg."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream

from app.audio.ffmpeg import ONE_THREAD, StreamFile, WholeFile, use_one_thread
from app.audio.samples import Samples
from app.config.types import Encoding, Format

G711_RATE_HZ = 8_000  # default sample rate of G.711
CONTENT_TYPES: dict[Format, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
BASIC_TYPE = "audio/basic"  # only mu-law of one channel at 8,000 Hz (RFC 2046)
RTP_TYPES: dict[Encoding, str] = {"pcm_mulaw": "audio/PCMU", "pcm_alaw": "audio/PCMA"}
MEDIA_TYPES = (*CONTENT_TYPES.values(), BASIC_TYPE, *RTP_TYPES.values())
LOSSLESS = ("wav", "pcm", "flac")
UNCOMPRESSED = ("wav", "pcm")

MPEG_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
OPUS_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)
LOSSY_BITS_PER_S = {16_000: 32_000, 24_000: 64_000, 48_000: 96_000}  # by the highest sample rate
RAW_CONTAINERS: dict[Encoding, str] = {
    "pcm_s16le": "s16le",
    "pcm_mulaw": "mulaw",
    "pcm_alaw": "alaw",
}


@dataclass(frozen=True, slots=True)
class FormatSpec:
    """FFmpeg's container and encoder of a format, and the sample rates they support (none: any)."""

    container: str
    encoder: str
    rates_hz: tuple[int, ...] = ()
    bits_per_s: Mapping[int, int] = field(default_factory=dict[int, int])  # none for lossless
    options: Mapping[str, str] = field(default_factory=dict[str, str])  # of the container
    stream_options: Mapping[str, str] = field(default_factory=dict[str, str])  # if it cannot seek

    def bit_rate(self, rate_hz: int) -> int | None:
        """Return the bit rate of speech at a sample rate."""
        return next(
            (bits for max_rate_hz, bits in self.bits_per_s.items() if rate_hz <= max_rate_hz), None
        )


COMPRESSED: dict[Format, FormatSpec] = {
    "mp3": FormatSpec(
        "mp3",
        "libmp3lame",
        MPEG_RATES_HZ,
        LOSSY_BITS_PER_S,
        options={"id3v2_version": "0"},
        stream_options={"write_xing": "0"},
    ),
    # By default a page may hold a second of audio.
    "opus": FormatSpec(
        "ogg",
        "libopus",
        OPUS_RATES_HZ,
        LOSSY_BITS_PER_S,
        stream_options={"page_duration": "20000"},
    ),
    "aac": FormatSpec("adts", "aac", MPEG_RATES_HZ, LOSSY_BITS_PER_S),
    "flac": FormatSpec("flac", "flac"),
}


class Encoder:
    """Encoder of mono samples, which returns bytes packet by packet.

    A packet is a chunk of samples in wav and pcm, and 20 to 100 ms in the other formats.
    """

    def __init__(self, spec: FormatSpec, sample_rate_hz: int, *, whole: bool) -> None:
        """`whole`: the body is sent in one piece, so that its header can have its length."""
        use_one_thread()
        self._rate_hz = sample_rate_hz
        self._file = WholeFile() if whole else StreamFile()
        options = {
            "flush_packets": "1",
            **spec.options,
            **({} if whole else spec.stream_options),
        }
        self._container = av.open(self._file, "w", format=spec.container, container_options=options)
        stream = self._container.add_stream(spec.encoder, rate=sample_rate_hz)
        self._stream = cast(AudioStream, stream)
        self._stream.layout = "mono"
        self._stream.codec_context.thread_count = ONE_THREAD
        if bits := spec.bit_rate(sample_rate_hz):
            self._stream.bit_rate = bits
        self._container.start_encoding()
        self._file.keep_head()
        self._fed = 0
        # A stream of 16-bit samples has no packets. Without the muxer, which copies them three
        # times, the whole service needs an eighth less CPU time per token (bench.whole).
        self._without_muxer = spec.encoder == "pcm_s16le" and not whole

    @property
    def delay_samples(self) -> int:
        """Samples that may be held back: a packet, and about as much look-ahead."""
        return 2 * (self._stream.codec_context.frame_size or 0)

    def header(self) -> bytes:
        """Return the bytes before the body. That of a whole body is final after `finish`."""
        return self._file.head

    def feed(self, samples: Samples) -> bytes:
        """Return the packets that these samples complete.

        Samples are rounded to the nearest 16-bit step and clipped at full scale.
        """
        if not len(samples):
            return b""
        steps = np.clip(np.rint(samples * np.float32(32767)), -32768, 32767).astype("<i2")
        if self._without_muxer:
            return steps.tobytes()
        frame = av.AudioFrame.from_ndarray(steps[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = self._rate_hz, self._fed
        self._fed += len(samples)
        self._container.mux(self._stream.encode(frame))
        return self._file.take()

    def finish(self) -> bytes:
        """Return the last packets, and the byte that pads a whole wav of an odd length."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.take()


def carries(name: Format, sample_rate_hz: int) -> bool:
    """True if a format supports a sample rate."""
    rates_hz = COMPRESSED[name].rates_hz if name in COMPRESSED else ()
    return not rates_hz or sample_rate_hz in rates_hz


def content_type(name: Format, encoding: Encoding, sample_rate_hz: int) -> str:
    """Return the media type of a format, which includes the encoding of pcm."""
    if name != "pcm" or encoding == "pcm_s16le":
        return CONTENT_TYPES[name]
    if encoding == "pcm_mulaw" and sample_rate_hz == G711_RATE_HZ:
        return BASIC_TYPE
    return f"{RTP_TYPES[encoding]};rate={sample_rate_hz}"


def make_encoder(
    name: Format, sample_rate_hz: int, *, encoding: Encoding = "pcm_s16le", whole: bool = False
) -> Encoder:
    """Return the encoder of a format, for a stream or a whole body.

    `encoding` applies to wav and pcm. The sizes in a streamed wav are 0xFFFFFFFF, which soundfile,
    wave, scipy, ffmpeg, sox and Chromium read as "until the end".
    """
    return Encoder(_format_spec(name, encoding), sample_rate_hz, whole=whole)


def _format_spec(name: Format, encoding: Encoding) -> FormatSpec:
    if name == "wav":  # bitexact: no LIST chunk with FFmpeg's version
        return FormatSpec("wav", encoding, options={"fflags": "+bitexact"})
    if name == "pcm":
        return FormatSpec(RAW_CONTAINERS[encoding], encoding)
    return COMPRESSED[name]
