"""The built-in codec: decodes 50 codes a second to 24 kHz audio, on one CPU core, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.builtin.decoder import FRAME_SAMPLES, Decoder
from app.codec.builtin.pulses import SAMPLE_RATE_HZ
from app.codec.fsq import VOCABULARY
from app.codec.padded_batch import PaddedBatch, trim_context
from app.codec.spec import CodecSpec

WEIGHTS = Path(__file__).parents[2] / "weights"

# The context is the receptive field, in frames.
# Past: the phase depends on two blocks of pitch (50), the pitch on the causal blocks of its network
# (22 at 50 Hz, 3 at 100 Hz) and on the interpolation between two steps (1), the spectra at both
# ends on half a window each (2). The envelopes reach less far.
# Future: the half windows and the interpolation (2), the first block of the networks (2).
SPEC = CodecSpec(
    name="builtin",
    sample_rate_hz=SAMPLE_RATE_HZ,
    samples_per_frame=FRAME_SAMPLES,
    codes_per_frame=1,
    vocabulary=VOCABULARY,
    left_context_frames=78,
    right_context_frames=4,
    seamless=True,
    max_window_frames=512,
)


class BuiltinCodec:
    """The `Codec` around the decoder. Several threads may decode at once."""

    def __init__(self, decoder: Decoder) -> None:
        self.spec = SPEC
        self._decoder = decoder

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        batch = PaddedBatch.of(windows)
        return trim_context(self._decoder.decode(batch), windows, SPEC.samples_per_frame)


def load_builtin_codec() -> BuiltinCodec:
    """Load the decoder that ships with the service (float16 on disk, float32 in use)."""
    return BuiltinCodec(Decoder(WEIGHTS))
