"""Built-in language model in Qwen3's architecture: phonemes to codec codes, one per step.

The embedding of a code is the sum of its eight digits' rows, and its logit is the sum of its eight
digits' logits. `training.export` can therefore write the model as a stock Qwen3
(arXiv:2505.09388), with embedding and head rows for 65,536 codes. This model has 34 rows: 8 x 4 for
the digits, one for the end token, and one shared by all tokens that never follow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from app.codec.fsq import DIGITS, LEVELS, VOCABULARY
from app.codec.fsq_tensors import codes_to_digits
from app.engine.embedded.voices import VOICES
from training.networks.token_model import PHONEMES
from training.safetensors_metadata import safetensors_metadata

# Token numbers: phonemes, special tokens of a prompt, voices, codes.
MESSAGE_START, MESSAGE_END, SPEECH_START = range(PHONEMES, PHONEMES + 3)
FIRST_VOICE = 192
FIRST_CODE = 256
TOKENS = FIRST_CODE + VOCABULARY
END_ROW = DIGITS * LEVELS
NEVER_ROW = END_ROW + 1
MAX_TOKENS = 1024
ROTARY_BASE = 10_000.0
EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a model. The defaults give 2.4 M parameters."""

    hidden: int = 192
    layers: int = 6
    heads: int = 3
    key_heads: int = 1
    head_width: int = 64
    feed: int = 512


class Norm(nn.Module):
    """RMSNorm (arXiv:1910.07467), computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        wide = x.float()
        scale = (wide.square().mean(-1, keepdim=True) + EPSILON).rsqrt()
        return (wide * scale).to(x.dtype) * self.weight.to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys.

    Parameter names are those of transformers' Qwen3.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.width = shape.head_width
        self.q_proj = nn.Linear(shape.hidden, shape.heads * shape.head_width, bias=False)
        self.k_proj = nn.Linear(shape.hidden, shape.key_heads * shape.head_width, bias=False)
        self.v_proj = nn.Linear(shape.hidden, shape.key_heads * shape.head_width, bias=False)
        self.o_proj = nn.Linear(shape.heads * shape.head_width, shape.hidden, bias=False)
        self.q_norm = Norm(shape.head_width)
        self.k_norm = Norm(shape.head_width)

    def forward(self, hidden: Tensor, turn: Tensor, seen: list[Tensor] | None) -> Tensor:
        """Map (batch, steps, hidden) to the same shape.

        Appends the first head's log attention weights (batch, steps, steps) to `seen`.
        """
        batch, steps, _ = hidden.shape
        query = rotate(self.q_norm(self.q_proj(hidden).view(batch, steps, -1, self.width)), turn)
        key = rotate(self.k_norm(self.k_proj(hidden).view(batch, steps, -1, self.width)), turn)
        value = self.v_proj(hidden).view(batch, steps, -1, self.width)
        if seen is not None:
            seen.append(log_weights(query[:, :, 0], key[:, :, 0]))
        mixed = functional.scaled_dot_product_attention(
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            is_causal=True,
            enable_gqa=True,
        )
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, steps, -1))


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.feed, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.feed, bias=False)
        self.down_proj = nn.Linear(shape.feed, shape.hidden, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, steps, hidden) to the same shape."""
        return self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))


class Layer(nn.Module):
    """Attention and feed-forward, each with a norm before it and a residual connection."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = Norm(shape.hidden)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = Norm(shape.hidden)
        self.mlp = FeedForward(shape)

    def forward(self, hidden: Tensor, turn: Tensor, seen: list[Tensor] | None) -> Tensor:
        """Map (batch, steps, hidden) to the same shape."""
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), turn, seen)
        return hidden + self.mlp(self.post_attention_layernorm(hidden))


class LanguageModel(nn.Module):
    """Tokens to 34 logits per step: the digits, the end, and all tokens that never follow."""

    rates: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.text = nn.Embedding(FIRST_CODE, shape.hidden)
        self.digit = nn.Linear(DIGITS * LEVELS, shape.hidden, bias=False)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.hidden)
        self.head = nn.Linear(shape.hidden, NEVER_ROW + 1, bias=False)
        exponents = torch.arange(0, shape.head_width, 2) / shape.head_width
        self.register_buffer("rates", ROTARY_BASE**-exponents, persistent=False)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embed tokens (batch, steps): (batch, steps, hidden)."""
        is_code = (tokens >= FIRST_CODE).unsqueeze(-1)
        codes = (tokens - FIRST_CODE).clamp_min(0)
        digits = functional.one_hot(codes_to_digits(codes), LEVELS).flatten(-2)
        of_codes = self.digit(digits.to(self.digit.weight.dtype))
        return torch.where(is_code, of_codes, self.text(tokens % FIRST_CODE))

    def forward(self, tokens: Tensor, seen: dict[int, list[Tensor]] | None = None) -> Tensor:
        """Map tokens (batch, steps), padded on the right, to logits (batch, steps, 34).

        `seen`: layer numbers, each with a list for the log attention weights of its first head.
        """
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        angle = (positions.unsqueeze(-1) * self.rates).unsqueeze(-2)  # (steps, 1 head, width / 2)
        turn = torch.polar(torch.ones_like(angle), angle)
        hidden = self.embed(tokens)
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden, turn, None if seen is None else seen.get(number))
        return self.head(self.norm(hidden))


def read_language_model(weights: bytes) -> LanguageModel:
    """Load a model in float32 from a safetensors file, whose header has the shape."""
    model = LanguageModel(Shape(**json.loads(safetensors_metadata(weights)["shape"])))
    model.load_state_dict(load(weights))
    return model.float().eval()


def rotate(heads: Tensor, turn: Tensor) -> Tensor:
    """Apply rotary positions to (batch, steps, heads, width), pairing the halves as Qwen3 does."""
    first, second = heads.chunk(2, -1)
    cos, sin = turn.real.to(heads.dtype), turn.imag.to(heads.dtype)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def log_weights(query: Tensor, key: Tensor) -> Tensor:
    """Return one head's causal attention over (batch, steps, width), as float32 logarithms."""
    scores = (query @ key.transpose(1, 2)).float() / query.shape[-1] ** 0.5
    future = torch.ones(scores.shape[1:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(future, -torch.inf).log_softmax(-1)


def build_prompt(phonemes: Sequence[int], voice: str = VOICES[0]) -> list[int]:
    """Return the tokens of a prompt: padded phoneme ids, with special tokens in place of the pads.

    Raises:
        ValueError: the voice is not in `VOICES`.
    """
    return [MESSAGE_START, FIRST_VOICE + VOICES.index(voice), *phonemes[1:-1], SPEECH_START]
