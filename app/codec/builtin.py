"""The built-in codec: 50 codes a second become 24 kHz sound, on one CPU core."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from app.codec import CodecSpec
from app.codec.eager import EagerCodec
from app.codec.fsq import VOCABULARY
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


def builtin_codec(decoder: Decoder, device: str) -> EagerCodec:
    """A codec of a decoder's, in float32 (its pitch in float64)."""
    nn.Module.to(decoder.eval().requires_grad_(False), device)
    decoder.pitch.double()

    def network(codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
        codes = codes[..., 0]
        place = torch.arange(codes.shape[1], device=codes.device)
        valid = (
            torch.ones_like(first_frames) * codes.shape[1] if frames is None else frames
        ).unsqueeze(1) > place
        return decoder(codes, valid, first_frames)

    return EagerCodec(SPEC, network, device)


def read_decoder(weights: bytes) -> Decoder:
    """A decoder from a safetensors file; float32, whatever the file's type."""
    decoder = Decoder()
    decoder.load_state_dict(load(weights))
    return decoder.float()


def load_builtin_codec(*, device: str) -> EagerCodec:
    """Load the decoder that ships with the service (float16 on disk, float32 in use)."""
    return builtin_codec(read_decoder(WEIGHTS.read_bytes()), device)
