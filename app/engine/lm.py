"""The built-in language model: Qwen3's architecture, from phonemes to the codec's codes, one a step.

A code is embedded as the sum of its eight digits' rows, and its logit is the sum of its eight digits'
logits. That equals an embedding and a head of 65,536 rows of that structure, so the model can be written
out as an ordinary Qwen3 (arXiv:2505.09388), while here 34 rows do: 8 x 4 for the digits, one for the end,
and one that every token shares which never follows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from app.codec.fsq import DIGITS, LEVELS, VOCABULARY, codes_of, digits_of
from app.engine.header import metadata_of
from app.engine.nar import PHONEMES

# Token numbers: phonemes, the marks of a prompt, voices, then the codes.
MESSAGE_START, MESSAGE_END, SPEECH_START = range(PHONEMES, PHONEMES + 3)
FIRST_VOICE = 192
FIRST_CODE = 256
TOKENS = FIRST_CODE + VOCABULARY
END_ROW = DIGITS * LEVELS
NEVER_ROW = END_ROW + 1
LONGEST_TOKENS = 1024
ROTARY_BASE = 10_000.0
EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model; the defaults make 2.4 M parameters."""

    hidden: int = 192
    layers: int = 6
    heads: int = 3
    key_heads: int = 1
    head_width: int = 64
    feed: int = 512


class Cache:
    """Keys and values of several requests, each a row that is as long as it is."""

    def __init__(self, shape: Shape, rows: int, capacity: int = LONGEST_TOKENS) -> None:
        size = (shape.layers, rows, capacity, shape.key_heads, shape.head_width)
        self.keys = torch.zeros(size)
        self.values = torch.zeros(size)


class Place:
    """Where new tokens go: their rows (batch,) of the cache, and their positions (batch, steps)."""

    def __init__(self, cache: Cache, rows: Tensor, positions: Tensor) -> None:
        self.positions = positions
        self._cache, self._rows = cache, rows
        self._longest = int(positions.max()) + 1
        # (batch, 1, steps, longest): what each new token may look at
        self.visible = (torch.arange(self._longest) <= positions.unsqueeze(-1)).unsqueeze(1)

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keep (batch, steps, key heads, width); returns everything in these rows up to the longest."""
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        at = (self._rows.unsqueeze(1), self.positions)
        keys[at], values[at] = key, value
        return keys[self._rows, : self._longest], values[self._rows, : self._longest]


class Norm(nn.Module):
    """RMSNorm (arXiv:1910.07467), computed in float32; torch's own takes 52 us a call on a single token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> the same."""
        wide = x.float()
        return (wide * (wide.square().mean(-1, keepdim=True) + EPSILON).rsqrt()).to(x.dtype) * self.weight.to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys; parameters named as in transformers' Qwen3."""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.layer, self.width = layer, shape.head_width
        self.q_proj = nn.Linear(shape.hidden, shape.heads * shape.head_width, bias=False)
        self.k_proj = nn.Linear(shape.hidden, shape.key_heads * shape.head_width, bias=False)
        self.v_proj = nn.Linear(shape.hidden, shape.key_heads * shape.head_width, bias=False)
        self.o_proj = nn.Linear(shape.heads * shape.head_width, shape.hidden, bias=False)
        self.q_norm = Norm(shape.head_width)
        self.k_norm = Norm(shape.head_width)

    def forward(self, hidden: Tensor, turn: Tensor, place: Place | None, seen: list[Tensor] | None) -> Tensor:
        """(batch, steps, hidden) -> the same; `seen` gets the first head's log weights (batch, steps, steps)."""
        batch, steps, _ = hidden.shape
        query = rotate(self.q_norm(self.q_proj(hidden).view(batch, steps, -1, self.width)), turn)
        key = rotate(self.k_norm(self.k_proj(hidden).view(batch, steps, -1, self.width)), turn)
        value = self.v_proj(hidden).view(batch, steps, -1, self.width)
        if seen is not None:
            seen.append(log_weights(query[:, :, 0], key[:, :, 0]))
        if place is not None:
            key, value = place.extend(self.layer, key, value)
        mixed = functional.scaled_dot_product_attention(
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            attn_mask=None if place is None else place.visible,
            is_causal=place is None,
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
        """(batch, steps, hidden) -> the same."""
        return self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))


class Layer(nn.Module):
    """Attention, then feed-forward, each behind a norm and added to what was there."""

    def __init__(self, shape: Shape, number: int) -> None:
        super().__init__()
        self.input_layernorm = Norm(shape.hidden)
        self.self_attn = Attention(shape, number)
        self.post_attention_layernorm = Norm(shape.hidden)
        self.mlp = FeedForward(shape)

    def forward(self, hidden: Tensor, turn: Tensor, place: Place | None, seen: list[Tensor] | None) -> Tensor:
        """(batch, steps, hidden) -> the same."""
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), turn, place, seen)
        return hidden + self.mlp(self.post_attention_layernorm(hidden))


class LanguageModel(nn.Module):
    """Tokens to 34 numbers a step: the digits' logits, the end's, and that of all that never follows."""

    rates: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.text = nn.Embedding(FIRST_CODE, shape.hidden)
        self.digit = nn.Linear(DIGITS * LEVELS, shape.hidden, bias=False)
        self.layers = nn.ModuleList(Layer(shape, number) for number in range(shape.layers))
        self.norm = Norm(shape.hidden)
        self.head = nn.Linear(shape.hidden, NEVER_ROW + 1, bias=False)
        exponents = torch.arange(0, shape.head_width, 2) / shape.head_width
        self.register_buffer("rates", ROTARY_BASE**-exponents, persistent=False)

    def embed(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, steps) -> (batch, steps, hidden)."""
        is_code = (tokens >= FIRST_CODE).unsqueeze(-1)
        digits = functional.one_hot(digits_of((tokens - FIRST_CODE).clamp_min(0)), LEVELS).flatten(-2)
        return torch.where(is_code, self.digit(digits.to(self.digit.weight.dtype)), self.text(tokens % FIRST_CODE))

    def forward(
        self, tokens: Tensor, place: Place | None = None, seen: dict[int, list[Tensor]] | None = None
    ) -> Tensor:
        """Tokens (batch, steps) -> (batch, steps, 34): what may follow each.

        Without a place, a batch padded on the right, from position 0. `seen` names the layers whose
        first head's log weights are wanted.
        """
        positions = torch.arange(tokens.shape[1], device=tokens.device) if place is None else place.positions
        angle = (positions.unsqueeze(-1) * self.rates).unsqueeze(-2)  # (…, steps, 1 head, width / 2)
        turn = torch.polar(torch.ones_like(angle), angle)
        hidden = self.embed(tokens)
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden, turn, place, None if seen is None else seen.get(number))
        return self.head(self.norm(hidden))


def read_language_model(weights: bytes) -> LanguageModel:
    """A model from a safetensors file whose header holds its shape; float32, whatever the file's type."""
    model = LanguageModel(Shape(**json.loads(metadata_of(weights)["shape"])))
    model.load_state_dict(load(weights))
    return model.float().eval()


def rotate(heads: Tensor, turn: Tensor) -> Tensor:
    """Rotary positions on (batch, steps, heads, width), first half with second, as Qwen3 pairs them."""
    first, second = heads.chunk(2, -1)
    cos, sin = turn.real.to(heads.dtype), turn.imag.to(heads.dtype)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def log_weights(query: Tensor, key: Tensor) -> Tensor:
    """One head's attention over (batch, steps, width), causal, as logarithms in float32."""
    scores = (query @ key.transpose(1, 2)).float() / query.shape[-1] ** 0.5
    future = torch.ones(scores.shape[1:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(future, -torch.inf).log_softmax(-1)


def prompt_of(phonemes: Sequence[int], voice: int = FIRST_VOICE) -> list[int]:
    """Padded phoneme ids -> the prompt's tokens; the marks take the pads' places."""
    return [MESSAGE_START, voice, *phonemes[1:-1], SPEECH_START]


def draw(logits: Tensor, temperature: float, noise: torch.Generator | None = None) -> int | None:
    """A code from one step's 34 numbers, or None for the end: one draw from the joint softmax.

    At one temperature the softmax over all codes is the product of the digits' own, so the digits are
    drawn one by one; the end competes with the sum over all codes. Temperature 0: the likeliest.
    """
    digits, end = logits[:END_ROW].view(DIGITS, LEVELS), logits[END_ROW]
    if temperature == 0:
        best, levels = digits.max(-1)
        return None if end > best.sum() else int(codes_of(levels))
    digits, end = digits / temperature, end / temperature
    chance = torch.rand(1 + END_ROW, generator=noise).clamp(1e-20, 1 - 1e-7)
    if chance[END_ROW] < (end - digits.logsumexp(-1).sum()).sigmoid():
        return None
    gumbel = -(-chance[:END_ROW].log()).log()
    return int(codes_of((digits + gumbel.view(DIGITS, LEVELS)).argmax(-1)))


@dataclass(slots=True)
class _Voice:
    """A request in progress."""

    last: int
    length: int
    temperature: float
    noise: torch.Generator


class Chorus:
    """Several requests generated together, a code each per step; one may join or leave between steps."""

    def __init__(self, model: LanguageModel, rows: int) -> None:
        self._model = model
        self._cache = Cache(model.shape, rows)
        self._voices: dict[int, _Voice] = {}
        self._free = list(range(rows))

    @property
    def is_full(self) -> bool:
        """No row is free."""
        return not self._free

    @torch.inference_mode()
    def join(self, phonemes: Sequence[int], temperature: float, seed: int) -> int:
        """Begin a request of padded phoneme ids; returns its row.

        Raises:
            IndexError: no row is free.
        """
        row = self._free.pop()
        *prompt, last = prompt_of(phonemes)
        place = Place(self._cache, torch.tensor([row]), torch.arange(len(prompt)).unsqueeze(0))
        self._model(torch.tensor([prompt]), place)
        self._voices[row] = _Voice(last, len(prompt), temperature, torch.Generator().manual_seed(seed))
        return row

    def leave(self, row: int) -> None:
        """Give a row back."""
        del self._voices[row]
        self._free.append(row)

    @torch.inference_mode()
    def step(self) -> dict[int, int | None]:
        """The next code of every request; None where it ended, and its row is free again.

        Raises:
            IndexError: a request is longer than 1,024 tokens; whoever joins it must let it leave before.
        """
        if not self._voices:
            return {}
        rows, voices = list(self._voices), list(self._voices.values())
        positions = torch.tensor([[voice.length] for voice in voices])
        tokens = torch.tensor([[voice.last] for voice in voices])
        logits = self._model(tokens, Place(self._cache, torch.tensor(rows), positions))[:, 0]
        codes: dict[int, int | None] = {}
        for row, voice, numbers in zip(rows, voices, logits, strict=True):
            code = codes[row] = draw(numbers, voice.temperature, voice.noise)
            if code is None:
                self.leave(row)
            else:
                voice.last, voice.length = FIRST_CODE + code, voice.length + 1
        return codes
