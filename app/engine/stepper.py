"""The language model a token at a time: several requests in one pass, with what they have read so far kept.

In numpy, because a token costs little arithmetic and many small operations: a step takes 1.4 ms where eager
torch takes 3.5 ms (one request, float32, on a busy core of an AMD EPYC). The matrices are laid out for it: query,
key and value in one, the norms multiplied into what follows them, rotary pairs side by side, so that a turn is
one complex product, and the feed-forward layer in blocks. Rows are computed four at a time and kept positions
128 at a time, so that

- every matrix product has the same shape whoever else is there: a row's numbers do not depend on the others;
- none is large enough for OpenBLAS to call its other threads (2^18 multiplications).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.codec.fsq import DIGITS, LEVELS
from app.engine.lm import EPSILON, FIRST_CODE, LONGEST_TOKENS, LanguageModel, Layer, Shape

CHUNK_ROWS = 4
BLOCK_POSITIONS = 128
BLOCK_FEED = 256
LARGEST_SCORE = 80.0  # e^80 x 1,024 positions is a float32
HALF_CODES = LEVELS ** (DIGITS // 2)  # a code is two halves of four digits, each a row of a table

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Weights:
    """One layer's matrices (in, out), those of the feed-forward in (blocks, in, out), and its heads' norms."""

    query_key_value: Floats
    head_norms: Floats  # (heads and key heads, width)
    output: Floats
    gate_up: Floats  # the gate's blocks, then the other's
    down: Floats


class Stepper:
    """A language model, and the keys and values of `rows` requests; belongs to one thread.

    Attention needs no mask, and no search for the largest score. Normed heads bound the scores, so that their
    exponentials are finite; and where nothing is kept the values are 0, as is the 1 after them whose sum
    the values are divided by.
    """

    def __init__(self, model: LanguageModel, rows: int) -> None:
        """Raises ValueError for weights with which scores could overflow."""
        shape = self._shape = model.shape
        rows = _whole_chunks(rows)
        self._layers = [
            _laid_out(layer, shape) for layer in model.layers if isinstance(layer, Layer)
        ]
        self._head = _after_norm(
            model.head.weight.numpy(force=True), model.norm.weight.numpy(force=True)
        )
        self._low, self._high = _tables(
            model.digit.weight.numpy(force=True).T, model.text.weight.numpy(force=True)
        )
        angle = np.arange(LONGEST_TOKENS)[:, None] * model.rates.numpy(force=True)
        self._turns = np.exp(1j * angle).astype(np.complex64)[
            :, None
        ]  # (positions, 1 head, width / 2)
        size = (shape.layers, 2, rows, shape.key_heads, LONGEST_TOKENS, shape.head_width + 1)
        self._kept = np.zeros(size, np.float32)  # keys, then values with their 1
        self._flat = self._kept.reshape(shape.layers, -1, shape.head_width + 1)
        part_row_head = np.arange(2 * rows * shape.key_heads).reshape(2, rows, shape.key_heads)
        self._lines = (
            part_row_head.swapaxes(0, 1) * LONGEST_TOKENS
        )  # of position 0 in _flat: (rows, 2, key heads)

    def begin(self, row: int, prompt: Sequence[int]) -> None:
        """Read a prompt into a row, whatever was there before; its length is the next token's position."""
        steps, shape = len(prompt), self._shape
        padded = _whole_chunks(steps)
        hidden = self._embed(np.array([*prompt, *[0] * (padded - steps)]))
        past = np.tri(padded, dtype=np.float32).reshape(-1, 1, 1, CHUNK_ROWS, padded)
        self._kept[:, 1, row] = 0
        self._kept[:, 1, row, :, :steps, -1] = 1
        for number, weights in enumerate(self._layers):
            heads = self._turned(hidden, weights, self._turns[:padded])
            keys, values = (
                heads[:, shape.heads :]
                .reshape(padded, 2, shape.key_heads, -1)
                .transpose(1, 2, 0, 3)
            )
            self._kept[number, 0, row, :, :steps, :-1] = keys[:, :steps]
            self._kept[number, 1, row, :, :steps, :-1] = values[:, :steps]
            # (chunks, key heads, group, chunk's rows, …)
            query = heads[:, : shape.heads].reshape(
                -1, CHUNK_ROWS, shape.key_heads, shape.group, shape.head_width
            )
            weight = np.exp(query.transpose(0, 2, 3, 1, 4) @ keys[:, None].swapaxes(-1, -2)) * past
            mixed = (weight @ values[:, None]) / weight.sum(-1, keepdims=True)
            hidden += mixed.transpose(0, 3, 1, 2, 4).reshape(*hidden.shape[:2], -1) @ weights.output
            hidden = _fed(hidden, weights)

    def step(self, tokens: Sequence[int], positions: Sequence[int]) -> Floats:
        """One token for each of the first rows, at its position -> (rows, 34): what may follow.

        Raises:
            IndexError: a position is not below 1,024.
        """
        asked, count = len(tokens), _whole_chunks(len(tokens))
        idle = [0] * (count - asked)
        at = np.array([*positions, *idle])
        blocks = int(at.max()) // BLOCK_POSITIONS + 1
        turns = self._turns[at]
        lines = self._lines[:asked] + at[:asked, None, None]
        self._flat[:, lines[:, 1], -1] = 1
        mixed = np.zeros(
            (count // CHUNK_ROWS, CHUNK_ROWS, self._shape.heads * self._shape.head_width),
            np.float32,
        )
        hidden = self._embed(np.array([*tokens, *idle]))
        for number, weights in enumerate(self._layers):
            heads = self._turned(hidden, weights, turns)
            self._flat[number][lines, :-1] = heads[:asked, self._shape.heads :].reshape(
                *lines.shape, -1
            )
            looked = self._look(
                heads[:asked, : self._shape.heads], self._kept[number, :, :asked], blocks
            )
            mixed.reshape(count, -1)[:asked] = looked.reshape(asked, -1)
            hidden += mixed @ weights.output
            hidden = _fed(hidden, weights)
        return (_scaled(hidden) @ self._head).reshape(count, -1)[:asked]

    def _embed(self, tokens: Integers) -> Floats:
        """(count,) -> (chunks, 4, hidden)."""
        codes, is_code = tokens - FIRST_CODE, tokens >= FIRST_CODE
        low = np.where(is_code, codes % HALF_CODES, tokens + HALF_CODES)
        hidden = self._low[low] + self._high[np.where(is_code, codes // HALF_CODES, HALF_CODES)]
        return hidden.reshape(-1, CHUNK_ROWS, hidden.shape[-1])

    def _turned(self, hidden: Floats, weights: _Weights, turns: NDArray[np.complex64]) -> Floats:
        """(chunks, 4, hidden) -> (count, heads and twice the key heads, width), queries and keys in their positions."""
        shape = self._shape
        joint = (_scaled(hidden) @ weights.query_key_value).reshape(
            len(turns), -1, shape.head_width
        )
        turned = joint[:, : shape.heads + shape.key_heads]
        turned /= _size_of(turned)
        turned *= weights.head_norms
        pairs = turned.view(np.complex64)
        pairs *= turns
        return joint

    def _look(self, query: Floats, kept: Floats, blocks: int) -> Floats:
        """One query a row (count, heads, width) at what its row has kept -> (count, key heads, group, width)."""
        shape = self._shape
        keys, values = kept[:, :, :, : blocks * BLOCK_POSITIONS].reshape(
            2, len(query), shape.key_heads, blocks, BLOCK_POSITIONS, -1
        )
        scores = query.reshape(len(query), shape.key_heads, 1, shape.group, -1) @ keys[
            ..., :-1
        ].swapaxes(-1, -2)
        mixed = np.add.reduce(np.exp(scores, scores) @ values, 2)
        return mixed[..., :-1] / mixed[..., -1:]


def _whole_chunks(rows: int) -> int:
    return -(-rows // CHUNK_ROWS) * CHUNK_ROWS


def _size_of(x: Floats) -> Floats:
    """RMSNorm's divisor (..., 1), but for the root of the width, which is in what follows."""
    size = np.vecdot(x, x)[..., None]
    size += np.float32(EPSILON * x.shape[-1])
    return np.sqrt(size, size)


def _scaled(x: Floats) -> Floats:
    """RMSNorm without its weight and the root of the width, which are in the matrix that follows."""
    return x / _size_of(x)


def _fed(hidden: Floats, weights: _Weights) -> Floats:
    """Feed-forward (SwiGLU) in blocks, added; silu(2 x) = x (1 + tanh x), and the matrix gives half the gate."""
    both = _scaled(hidden)[:, None] @ weights.gate_up  # (chunks, blocks of both, 4, 256)
    blocks = len(weights.down)
    gate = both[:, :blocks]
    opened = np.tanh(gate)
    opened += np.float32(1)
    opened *= gate
    opened *= both[:, blocks:]
    hidden += np.add.reduce(opened @ weights.down, 1)
    return hidden


def _matrix(weight: Floats) -> Floats:
    """(out, in) -> (in, out), in that order in memory: twice as fast."""
    return np.ascontiguousarray(weight.T)


def _after_norm(weight: Floats, norm: Floats) -> Floats:
    """A matrix (out, in) that follows a norm -> (in, out), with what `_scaled` leaves out."""
    return _matrix(weight * norm * np.float32(math.sqrt(len(norm))))


def _laid_out(layer: Layer, shape: Shape) -> _Weights:
    weights = {name: value.numpy(force=True) for name, value in layer.state_dict().items()}
    query, key, value, output = (weights[f"self_attn.{part}_proj.weight"] for part in "qkvo")
    gate, up, down = (weights[f"mlp.{part}_proj.weight"] for part in ("gate", "up", "down"))
    joint = np.concatenate((_paired(query, shape), _paired(key, shape), value))
    blocks = max(1, shape.feed // BLOCK_FEED)
    halves = np.split(gate / 2, blocks) + np.split(up, blocks)
    return _Weights(
        _after_norm(joint, weights["input_layernorm.weight"]),
        _head_norms(weights["self_attn.q_norm.weight"], weights["self_attn.k_norm.weight"], shape),
        _matrix(output),
        np.stack(
            [_after_norm(part, weights["post_attention_layernorm.weight"]) for part in halves]
        ),
        np.stack(np.split(_matrix(down), blocks)),
    )


def _head_norms(query: Floats, key: Floats, shape: Shape) -> Floats:
    """The norms' weights, (heads and key heads, width), with the root of the width and the scale of the scores."""
    root = math.sqrt(shape.head_width)
    if not root * np.abs(query).max() * np.abs(key).max() < LARGEST_SCORE:
        raise ValueError("attention scores of these weights could overflow")
    norms = np.concatenate([query] * shape.heads + [key * np.float32(root)] * shape.key_heads)
    return _paired(norms, shape).reshape(-1, shape.head_width)


def _paired(weight: Floats, shape: Shape) -> Floats:
    """Every head's first half and second half (of dimension 0) by turns."""
    halves = weight.reshape(-1, 2, shape.head_width // 2, *weight.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)


def _tables(digit_rows: Floats, text_rows: Floats) -> tuple[Floats, Floats]:
    """What a token's two numbers stand for; their rows are added.

    The lower and the upper four digits of a code; or a text token, after the lower digits, and nothing.
    """
    places = np.arange(DIGITS // 2)
    rows = np.arange(HALF_CODES)[:, None] // LEVELS**places % LEVELS + LEVELS * places
    low, high = (half[rows].sum(1) for half in np.split(digit_rows, 2))
    return np.concatenate((low, text_rows)), np.concatenate((high, np.zeros_like(high[:1])))
