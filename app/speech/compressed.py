# pyright: reportUnknownMemberType=false
"""mp3, opus, aac, flac and G.711 with ffmpeg's encoders, a packet at a time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream

from app.samples import Samples
from app.speech.ffmpeg import ONE, use_one_thread

MPEG_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


@dataclass(frozen=True, slots=True)
class Compression:
    """A container, its encoder, and the rates that they can carry (none given: any)."""

    container: str
    encoder: str
    rates_hz: tuple[int, ...] = ()
    bits_per_s: Mapping[int, int] = field(
        default_factory=dict[int, int]
    )  # up to a rate; lossless: none
    streaming: Mapping[str, str] = field(
        default_factory=dict[str, str]
    )  # where the start cannot be written again

    def bit_rate(self, rate_hz: int) -> int | None:
        """What speech at this rate gets."""
        return next((bits for most, bits in self.bits_per_s.items() if rate_hz <= most), None)


LOSSY = {16_000: 32_000, 24_000: 64_000, 48_000: 96_000}
COMPRESSIONS: dict[str, Compression] = {
    "mp3": Compression("mp3", "libmp3lame", MPEG_RATES_HZ, LOSSY, {"write_xing": "0"}),
    # A page may wait for a whole second of sound unless it is told not to.
    "opus": Compression(
        "ogg", "libopus", (8_000, 12_000, 16_000, 24_000, 48_000), LOSSY, {"page_duration": "20000"}
    ),
    "aac": Compression("adts", "aac", MPEG_RATES_HZ, LOSSY),
    "flac": Compression("flac", "flac"),
    "pcm_mulaw": Compression("mulaw", "pcm_mulaw"),
    "pcm_alaw": Compression("alaw", "pcm_alaw"),
}


class _Outlet:
    """Bytes as the container writes them; without `seek` it cannot go back."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        """Keep bytes until they are taken."""
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        """Return the bytes written since the last call, and forget them."""
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken


class _HeadedOutlet(_Outlet):
    """An outlet whose head stays, for the container to write its lengths into at the end.

    mp3 and flac go back into what they wrote before the first sample, and nowhere else.
    """

    def __init__(self) -> None:
        super().__init__()
        self._head: bytearray | None = None  # None: still being written
        self._at = self._size = 0

    def keep_head(self) -> None:
        """Keep all that has been written so far as the head."""
        self._head = bytearray(self.take())

    @property
    def head(self) -> bytes:
        """The head as it is now: final once the container is closed."""
        return bytes(self._head or b"")

    def write(self, data: bytes) -> int:
        """Append bytes, or replace bytes of the head.

        Raises:
            OSError: the place is neither the end nor within the head.
        """
        end = self._at + len(data)
        if self._at == self._size:
            super().write(data)
        elif self._head is not None and end <= len(self._head):
            self._head[self._at : end] = data
        else:
            raise OSError("the container goes back behind its head")
        self._at, self._size = end, max(self._size, end)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to where the next bytes are written."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """The place where the next bytes are written."""
        return self._at


class CompressedEncoder:
    """An `Encoder`. Bytes leave with each packet, of 20 to 100 ms.

    Only a whole body has a truthful length in its header (mp3, flac), which is final after `finish`: a stream's
    cannot be known.
    """

    def __init__(self, name: str, sample_rate_hz: int, *, whole: bool) -> None:
        use_one_thread()
        chosen = COMPRESSIONS[name]
        self._rate_hz = sample_rate_hz
        self._outlet = _HeadedOutlet() if whole else _Outlet()
        options = {
            "flush_packets": "1",
            "id3v2_version": "0",
            **({} if whole else chosen.streaming),
        }
        self._container = av.open(
            self._outlet, "w", format=chosen.container, container_options=options
        )
        self._stream = cast(
            AudioStream, self._container.add_stream(chosen.encoder, rate=sample_rate_hz)
        )
        self._stream.layout = "mono"
        self._stream.codec_context.thread_count = ONE
        if bits := chosen.bit_rate(sample_rate_hz):
            self._stream.bit_rate = bits
        self._container.start_encoding()
        self._header = b""
        if isinstance(self._outlet, _HeadedOutlet):
            self._outlet.keep_head()
        else:
            self._header = self._outlet.take()
        self._fed = 0

    @property
    def delay_samples(self) -> int:
        """What the encoder holds back: a packet, and about as much that it looks ahead."""
        return 2 * (self._stream.codec_context.frame_size or 0)

    def header(self, body_bytes: int | None) -> bytes:
        """The container's beginning; of a whole body it is asked for after `finish`."""
        return self._outlet.head if isinstance(self._outlet, _HeadedOutlet) else self._header

    def feed(self, samples: Samples) -> bytes:
        """The packets that these samples complete."""
        if not len(samples):
            return b""
        steps = np.clip(np.rint(samples * np.float32(32767)), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(steps[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = self._rate_hz, self._fed
        self._fed += len(samples)
        self._container.mux(self._stream.encode(frame))
        return self._outlet.take()

    def finish(self) -> bytes:
        """The last packets."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._outlet.take()
