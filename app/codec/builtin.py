"""The built-in codec: 50 codes a second become 24 kHz sound, on one CPU core."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load
from torch import nn

from app.codec import CodecSpec, CodeWindow, Samples
from app.codec.fsq import VOCABULARY
from app.codec.padding import cut_sound, pad_codes
from app.codec.pulses import SAMPLE_RATE_HZ
from app.codec.source_filter import FRAME_SAMPLES, Decoder

WEIGHTS = Path(__file__).parents[1] / "voices" / "codec_decoder.safetensors"

# The receptive field, in frames. Back: a phase hangs on two blocks of pitch (50), the pitch on its network's
# causal blocks (22 at 50 Hz, 3 at 100 Hz) and the line between two steps (1), both ends of a spectrum on half
# a window (2); the envelopes reach less far. Ahead: the half windows and the line (2), the first block (2).
SPEC = CodecSpec(
    name="builtin",
    sample_rate_hz=SAMPLE_RATE_HZ,
    samples_per_frame=FRAME_SAMPLES,
    codes_per_frame=1,
    vocabulary=VOCABULARY,
    left_context_frames=78,
    right_context_frames=4,
    exact=True,
    max_window_frames=512,
)


class BuiltinCodec:
    """The decoder on a device, in float32 (its pitch in float64); see `Codec` for what its parts promise."""

    spec = SPEC

    def __init__(self, decoder: Decoder, device: torch.device) -> None:
        self._decoder = nn.Module.to(decoder.eval(), device)
        self._decoder.pitch.double()
        self._device = device

    @torch.inference_mode()
    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode windows as one batch, padded on the right; see `Codec.decode`."""
        codes, frames = pad_codes(windows)
        valid = torch.arange(codes.shape[1]) < torch.tensor(frames).unsqueeze(1)
        first_frame = torch.tensor([window.first_frame for window in windows])
        sound = self._decoder(*(part.to(self._device) for part in (torch.as_tensor(codes), valid, first_frame)))
        return cut_sound(sound.cpu().numpy(), frames, SPEC.samples_per_frame)


def read_decoder(weights: bytes) -> Decoder:
    """A decoder from a safetensors file; float32, whatever the file's type."""
    decoder = Decoder()
    decoder.load_state_dict(load(weights))
    return decoder.float()


def load_builtin_codec(*, device: str) -> BuiltinCodec:
    """Load the decoder that ships with the service (float16 on disk, float32 in use)."""
    return BuiltinCodec(read_decoder(WEIGHTS.read_bytes()), torch.device(device))
