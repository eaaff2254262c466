"""The built-in codec's decoder: 50 codes a second become 24 kHz sound, on one CPU core."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from app.codec import CodecSpec, CodeWindow, Samples
from app.codec.convnext import ConvNeXtBlock
from app.codec.fsq import DIGITS, VOCABULARY, digits_of, values_of
from app.codec.padding import cut_sound, pad_codes

WEIGHTS = Path(__file__).parents[1] / "voices" / "codec_decoder.safetensors"
CHANNELS = 192
FFT_SAMPLES = 960
HOP_SAMPLES = 240  # two steps of the spectrogram a frame: 100 Hz
OVERLAP = FFT_SAMPLES // HOP_SAMPLES
LOG_MAGNITUDE_LIMIT = 6.0

# The receptive field, in frames: seven-tap causal blocks reach 28 frames back at 50 Hz and 9 more at
# 100 Hz, the inverse transform 1; ahead, the first block sees 2 and the inverse transform 1.
SPEC = CodecSpec(
    name="builtin",
    sample_rate_hz=24_000,
    samples_per_frame=2 * HOP_SAMPLES,
    codes_per_frame=1,
    vocabulary=VOCABULARY,
    left_context_frames=40,
    right_context_frames=3,
    exact=True,
    max_window_frames=512,
)


class Decoder(nn.Module):
    """Codes to spectrogram by ConvNeXt blocks, then an inverse STFT, as in Vocos (arXiv:2306.00814)."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        wide = 3 * CHANNELS
        self.embed = nn.Linear(DIGITS, CHANNELS)
        self.frame_blocks = nn.Sequential(
            ConvNeXtBlock(CHANNELS, wide, look_ahead=2), *(ConvNeXtBlock(CHANNELS, wide) for _ in range(4))
        )
        self.upsample = nn.Linear(CHANNELS, 2 * CHANNELS)
        self.step_blocks = nn.Sequential(*(ConvNeXtBlock(CHANNELS, wide) for _ in range(3)))
        self.norm = nn.LayerNorm(CHANNELS)
        self.head = nn.Linear(CHANNELS, 2 * (FFT_SAMPLES // 2 + 1))
        self.register_buffer("window", torch.hann_window(FFT_SAMPLES), persistent=False)

    def forward(self, codes: Tensor, valid: Tensor) -> Tensor:
        """Codes (batch, frames) and which of them are real -> samples (batch, frames * 480).

        What lies behind a row's own codes never reaches it: only the first block looks ahead, so its
        input is zeroed there, as the end of the signal is; the other blocks are causal.
        """
        hidden = self.frame_blocks(self.embed(values_of(digits_of(codes))) * valid.unsqueeze(-1))
        batch, frames, _ = hidden.shape
        hidden = self.step_blocks(self.upsample(hidden).view(batch, 2 * frames, CHANNELS))
        log_magnitude, phase = self.head(self.norm(hidden)).chunk(2, dim=-1)
        spectrum = torch.polar(log_magnitude.clamp(max=LOG_MAGNITUDE_LIMIT).exp(), phase)
        return self._synthesise(spectrum, valid.repeat_interleave(2, dim=1))

    def _synthesise(self, spectrum: Tensor, valid: Tensor) -> Tensor:
        """Windowed inverse transforms, overlapped, over the envelope of each row's own steps."""
        window = self.window * valid.unsqueeze(-1)
        steps = cast(Tensor, torch.fft.irfft(spectrum, FFT_SAMPLES))  # pyright: ignore[reportUnknownMemberType]
        sound = overlap_add(steps * window)
        envelope = overlap_add(self.window * window)
        return sound / envelope.clamp_min(1e-3)


def overlap_add(steps: Tensor) -> Tensor:
    """(batch, steps, 960), 240 apart -> (batch, steps * 240): step i centred on sample 240 i + 120."""
    batch, count, _ = steps.shape
    hops = steps.view(batch, count, OVERLAP, HOP_SAMPLES)
    total = functional.pad(hops[:, :, 0], (0, 0, 0, OVERLAP - 1))
    for part in range(1, OVERLAP):
        total[:, part : part + count] += hops[:, :, part]
    trim = (FFT_SAMPLES - HOP_SAMPLES) // 2
    return total.view(batch, -1)[:, trim : trim + count * HOP_SAMPLES]


class BuiltinCodec:
    """The decoder on a device, in float32; see `Codec` for what its parts promise."""

    spec = SPEC

    def __init__(self, decoder: Decoder, device: torch.device) -> None:
        self._decoder = decoder
        self._device = device

    @torch.inference_mode()
    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode windows as one batch, padded on the right; see `Codec.decode`."""
        codes, frames = pad_codes(windows)
        valid = torch.arange(codes.shape[1]) < torch.tensor(frames).unsqueeze(1)
        sound = self._decoder(torch.as_tensor(codes).to(self._device), valid.to(self._device))
        return cut_sound(sound.cpu().numpy(), frames, SPEC.samples_per_frame)


def load_builtin_codec(*, device: str) -> BuiltinCodec:
    """Load the decoder that ships with the service (float16 on disk, float32 in use)."""
    decoder = Decoder()
    decoder.load_state_dict(load(WEIGHTS.read_bytes()))
    place = torch.device(device)
    return BuiltinCodec(decoder.float().eval().to(place), place)
