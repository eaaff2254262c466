# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""The Vocos decoder of NeuCodec, masked so that the rows of a batch may differ in length."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from app.codec.fsq import DIGITS
from app.codec.fsq_tensors import codes_to_digits, digits_to_values
from app.codec.neucodec.packed_linear import Linear
from app.codec.overlap_add import overlap_add

HOP_SAMPLES = 480
WINDOW_SAMPLES = 4 * HOP_SAMPLES
HEAD_WIDTH = 64
GROUPS = 32
EPS = 1e-6


@dataclass(frozen=True, slots=True)
class Size:
    """Width and number of transformer layers; the defaults are the published model's."""

    width: int = 1024
    depth: int = 12


PUBLISHED = Size()


@dataclass(frozen=True, slots=True)
class Rows:
    """Lengths and masks of the rows of a padded batch."""

    lengths: Tensor  # (batch, 1, 1, 1) float32, frames
    valid: Tensor  # (batch, frames, 1) float32, 1 or 0
    bias: Tensor  # (batch, 1, 1, frames), type of the matrices: 0 where a key is real, else -inf

    @classmethod
    def of(cls, lengths: Tensor, frames: int, dtype: torch.dtype) -> Rows:
        """Build masks from `lengths` (batch,), each >= 1: softmax and norms of no frame are NaN."""
        keys = torch.arange(frames, device=lengths.device) < lengths[:, None]
        counts = lengths.float()[:, None, None, None]
        return cls(counts, keys[..., None].float(), attention_bias(keys, dtype))


def attention_bias(keys: Tensor, dtype: torch.dtype) -> Tensor:
    """Build the bias of `Rows` from the mask of the real keys (batch, frames)."""
    batch, frames = keys.shape
    # torch's attention on a GPU copies a bias whose rows do not start at multiples of 8.
    stride = -(-frames // 8) * 8
    bias = torch.zeros(batch, 1, 1, stride, dtype=dtype, device=keys.device)
    return bias[..., :frames].masked_fill_(~keys[:, None, None], -torch.inf)


class FrameNorm(nn.Module):
    """GroupNorm over the real frames of a row, then SiLU; the padding becomes zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """(batch, frames, width) of any type to the same shape in float32."""
        valid = rows.valid[..., None]
        grouped = x.float().unflatten(-1, (GROUPS, -1))
        count = rows.lengths * grouped.shape[-1]
        mean = (grouped * valid).sum((1, 3), keepdim=True) / count
        centred = (grouped - mean) * valid
        variance = centred.square().sum((1, 3), keepdim=True) / count
        normed = (centred * torch.rsqrt(variance + EPS)).flatten(-2)
        return functional.silu(torch.addcmul(self.bias, normed, self.weight)) * rows.valid


class FrameConv(Linear):
    """A convolution over frames as one matrix product.

    On a CPU it is faster than conv1d below about 100 frames.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(kernel * width, width)
        self.kernel = kernel

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """(batch, frames, width), padding zero, to the same shape in the type of the weights."""
        x = input.to(self.weight.dtype)
        padded = functional.pad(x, (0, 0, self.kernel // 2, self.kernel // 2))
        taps = [padded[:, tap : tap + x.shape[1]] for tap in range(self.kernel)]
        return super().forward(torch.cat(taps, -1))


class ConvBlock(nn.Module):
    """Norm, SiLU and convolution, twice, around a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = FrameNorm(width)
        self.conv1 = FrameConv(width, 3)
        self.norm2 = FrameNorm(width)
        self.conv2 = FrameConv(width, 3)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        hidden = self.conv1(self.norm1(x, rows))
        return x + self.conv2(self.norm2(hidden, rows))


class Transformer(nn.Module):
    """Attention and MLP.

    There is no rotary embedding: the published one rotates the queries and keys of a head by the
    same angle, which does not change their products.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.att_norm = nn.RMSNorm(width, EPS)
        self.qkv = Linear(width, 3 * width, bias=False)
        self.out = Linear(width, width, bias=False)
        self.ffn_norm = nn.RMSNorm(width, EPS)
        self.up = Linear(width, 4 * width, bias=False)
        self.down = Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        dtype = self.qkv.weight.dtype
        qkv = self.qkv(self.att_norm(x).to(dtype)).unflatten(-1, (3, -1, HEAD_WIDTH))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=rows.bias)
        x = x + self.out(attended.transpose(1, 2).flatten(-2))
        return x + self.down(functional.silu(self.up(self.ffn_norm(x).to(dtype))))


class VocosDecoder(nn.Module):
    """Codes to samples: `CodecDecoderVocos` of github.com/neuphonic/neucodec.

    The rows of a batch do not affect each other. The residual stream, norms, head and inverse STFT
    are float32; the other matrices may be narrower.
    """

    window: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.code = nn.Linear(DIGITS, size.width)  # FSQ digits through project_out and fc_post_a
        self.embed = FrameConv(size.width, 7)
        self.prior_net = nn.ModuleList(ConvBlock(size.width) for _ in range(2))
        self.transformers = nn.ModuleList(Transformer(size.width) for _ in range(size.depth))
        self.post_net = nn.ModuleList(ConvBlock(size.width) for _ in range(2))
        self.final_layer_norm = nn.LayerNorm(size.width, EPS)
        self.head = nn.Linear(size.width, WINDOW_SAMPLES + 2)
        window = torch.hann_window(WINDOW_SAMPLES, device="cpu")
        self.register_buffer("window", window, persistent=False)

    def forward(self, codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
        """Codes (batch, frames, 1) to samples (batch, 480 x frames); see `Network`.

        The samples do not depend on the position in the stream.
        """
        lengths = codes.new_full((len(codes),), codes.shape[1]) if frames is None else frames
        rows = Rows.of(lengths, codes.shape[1], self.embed.weight.dtype)
        x = self.embed(
            self.code(digits_to_values(codes_to_digits(codes[..., 0]))) * rows.valid
        ).float()
        for block in (*self.prior_net, *self.transformers, *self.post_net):
            x = block(x, rows)
        return self._inverse_stft(self.head(self.final_layer_norm(x)), rows)

    def _inverse_stft(self, spectrum: Tensor, rows: Rows) -> Tensor:
        """Log magnitudes and phases (batch, frames, 1922) to samples (batch, 480 x frames)."""
        magnitude, phase = spectrum.chunk(2, dim=-1)
        bins = torch.polar(magnitude.exp().clamp(max=100.0), phase)
        # cuFFT does not ignore the imaginary part of the first and the last bin at every length.
        bins.imag[..., :: WINDOW_SAMPLES // 2].zero_()
        waves = torch.fft.irfft(bins, WINDOW_SAMPLES)
        window = self.window * rows.valid
        sound = overlap_add(waves * window, HOP_SAMPLES)
        return sound / overlap_add(self.window * window, HOP_SAMPLES).clamp(min=1e-11)
