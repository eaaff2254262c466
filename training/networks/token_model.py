"""Built-in token model in torch: phonemes of one sentence to all its codec codes in one pass.

The model is non-autoregressive, like FastSpeech (Ren et al. 2019, arXiv:1905.09263). The text
encoder predicts the duration of each phoneme. Phonemes are repeated over their frames. The frame
decoder predicts the eight digits of each frame's code.
"""

from __future__ import annotations

import torch
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn import functional

from app.codec.fsq import DIGITS, LEVELS
from app.codec.fsq_tensors import digits_to_codes
from app.engine.embedded import nar
from training.networks.convnext import ConvNeXtBlock

PHONEMES = 178
TEXT_CHANNELS = 192
FRAME_CHANNELS = 224
HEADS = 4
POSITION_FEATURES = 6
ROTARY_BASE = 10_000


class TransformerBlock(nn.Module):
    """Pre-norm self-attention with rotary positions, then a feed-forward layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)
        self.feed_norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(3 * channels, channels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, steps, channels) to the same shape."""
        batch, steps, channels = hidden.shape
        joint = self.query_key_value(self.attention_norm(hidden)).view(
            batch, steps, 3, HEADS, channels // HEADS
        )
        query, key, value = joint.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(rotate(query), rotate(key), value)
        hidden = hidden + self.output(mixed.transpose(1, 2).reshape(batch, steps, channels))
        return hidden + self.project(
            functional.gelu(self.expand(self.feed_norm(hidden)), approximate="tanh")
        )


def rotate(heads: Tensor) -> Tensor:
    """Apply rotary position embedding to neighbouring pairs (Su et al. 2021, arXiv:2104.09864)."""
    steps, width = heads.shape[-2:]
    rate = ROTARY_BASE ** -(torch.arange(0, width, 2) / width)
    angle = torch.arange(steps).unsqueeze(1) * rate
    cos, sin = angle.cos(), angle.sin()
    even, odd = heads[..., ::2], heads[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class TokenModel(nn.Module):
    """Phoneme ids of one sentence to codes. 3.6 M parameters, 20-30 ms a sentence on one core."""

    def __init__(self) -> None:
        super().__init__()
        text, frame = TEXT_CHANNELS, FRAME_CHANNELS
        self.embedding = nn.Embedding(PHONEMES, text)
        self.text_blocks = nn.Sequential(
            *(ConvNeXtBlock(text, 3 * text, look_ahead=3) for _ in range(2)),
            *(TransformerBlock(text) for _ in range(3)),
        )
        self.text_norm = nn.LayerNorm(text)
        self.duration_block = ConvNeXtBlock(text, 2 * text, kernel=3, look_ahead=1)
        self.duration_head = nn.Linear(text, 1)
        self.frame_embed = nn.Linear(text + POSITION_FEATURES, frame)
        self.frame_blocks = nn.Sequential(
            *(ConvNeXtBlock(frame, 3 * frame, look_ahead=3) for _ in range(6))
        )
        self.frame_norm = nn.LayerNorm(frame)
        self.frame_head = nn.Linear(frame, DIGITS * LEVELS)

    def encode(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Map phoneme ids (phonemes,) to vectors (1, phonemes, 192) and to durations (phonemes,).

        The durations are in units of 25 ms.
        """
        text = self.text_norm(self.text_blocks(self.embedding(ids).unsqueeze(0)))
        log_units = self.duration_head(self.duration_block(text))[0, :, 0]
        return text, log_units.exp().round().clamp_min(1)

    def frame_logits(self, frames: Tensor) -> Tensor:
        """Map vectors and position features (1, frames, 198) to logits (1, frames, 32)."""
        return self.frame_head(self.frame_norm(self.frame_blocks(self.frame_embed(frames))))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Map phoneme ids (phonemes,) to argmax codes (frames,) and durations in 25 ms units."""
        text, units = self.encode(ids)
        phoneme, position = align(units)
        logits = self.frame_logits(torch.cat((text[0, phoneme], position), -1).unsqueeze(0))
        return digits_to_codes(logits.view(-1, DIGITS, LEVELS).argmax(-1)), units


def align(units: Tensor) -> tuple[Tensor, Tensor]:
    """Map durations (phonemes,) to frames as the service does; see `app.engine.embedded.nar`."""
    phoneme, features = nar.align(units.detach().numpy())
    return torch.from_numpy(phoneme), torch.from_numpy(features)


def read_token_model(weights: bytes) -> TokenModel:
    """Read a model from the bytes of a safetensors file, into float32."""
    model = TokenModel()
    model.load_state_dict(load_tensors(weights))
    return model.float().eval()
