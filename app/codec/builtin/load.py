"""The built-in codec: decodes 50 codes a second to 24 kHz audio, on one CPU core."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from app.codec.builtin.decoder import FRAME_SAMPLES, Decoder
from app.codec.builtin.pulses import SAMPLE_RATE_HZ
from app.codec.eager import EagerCodec
from app.codec.fsq import VOCABULARY
from app.codec.hub import Report
from app.codec.load import CodecOptions
from app.codec.spec import CodecSpec

WEIGHTS = Path(__file__).parents[2] / "weights" / "codec_decoder.safetensors"

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


def builtin_codec(decoder: Decoder, device: str) -> EagerCodec:
    """Make a codec of a decoder, in float32 (the pitch in float64)."""
    nn.Module.to(decoder.eval().requires_grad_(False), device)
    decoder.pitch.double()

    def network(codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
        codes = codes[..., 0]
        place = torch.arange(codes.shape[1], device=codes.device)
        lengths = torch.ones_like(first_frames) * codes.shape[1] if frames is None else frames
        return decoder(codes, lengths.unsqueeze(1) > place, first_frames)

    return EagerCodec(SPEC, network, device)


def read_decoder(weights: bytes) -> Decoder:
    """Read a decoder from the bytes of a safetensors file, into float32."""
    decoder = Decoder()
    decoder.load_state_dict(load_tensors(weights))
    return decoder.float()


def load(options: CodecOptions, device: str, dtype: torch.dtype, report: Report) -> EagerCodec:
    """Load the codec for the service; see `Loader`. Its weights and type are fixed."""
    return load_builtin_codec(device=device)


def load_builtin_codec(*, device: str) -> EagerCodec:
    """Load the decoder that ships with the service (float16 on disk, float32 in use)."""
    return builtin_codec(read_decoder(WEIGHTS.read_bytes()), device)
