# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""NeuCodec's decoder in about 135 kernels instead of 360.

Norms, activations, residual sums, the spectrum and the overlap-add are kernels of `neucodec.cu`;
convolutions are cuDNN's on channels-last frames, so that nothing is unfolded. Statistics and
the residual stream are float32, as in `VocosDecoder`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from app.codec.batch_decoder import BatchDecoder
from app.codec.eager import Network
from app.codec.fused.kernels import CompiledKernels, KernelError, Launch
from app.codec.neucodec.decoder import (
    GROUPS,
    HEAD_WIDTH,
    WINDOW_SAMPLES,
    ConvBlock,
    FrameConv,
    FrameNorm,
    Transformer,
    VocosDecoder,
    attention_bias,
)

WIDTH = 1024  # and other sizes of neucodec.cu
BINS = WINDOW_SAMPLES // 2 + 1
THREADS = 256


def load(network: Network, options: Sequence[str], device: torch.device) -> BatchDecoder:
    """Compile the kernels; see `FusedLoader`."""
    launch = CompiledKernels("neucodec.cu", options, device)
    return FusedVocosDecoder(cast(VocosDecoder, network), launch)


class FusedVocosDecoder:
    """A `BatchDecoder` with the weights of a `VocosDecoder`."""

    def __init__(self, network: VocosDecoder, launch: Launch) -> None:
        """Raise KernelError if the network does not have the width of the kernels."""
        if network.embed.weight.shape[0] != WIDTH:
            raise KernelError(f"the kernels are for a width of {WIDTH}")
        self._network = network
        self._launch = launch
        self._dtype = network.embed.weight.dtype
        device = network.embed.weight.device
        self._flash_attention = (
            device.type == "cuda"
            and self._dtype != torch.float32
            and torch.cuda.get_device_capability(device) >= (8, 0)
        )
        self._before = cast(Iterable[ConvBlock], network.prior_net)
        self._layers = cast(Iterable[Transformer], network.transformers)
        self._after = cast(Iterable[ConvBlock], network.post_net)
        # The kernels read biases as float32.
        self._biases = {
            conv: conv.bias.float()
            for block in (*self._before, *self._after)
            for conv in (block.conv1, block.conv2)
        }
        self._biases[network.embed] = network.embed.bias.float()

    def __call__(
        self, codes: Tensor, first_frames: Tensor, lengths: Tensor, samples: Tensor, peaks: Tensor
    ) -> None:
        network, launch = self._network, self._launch
        rows, frames = codes.shape[:2]
        grid = frames, rows
        embedded = torch.empty(rows, frames, WIDTH, dtype=self._dtype, device=codes.device)
        weights = network.code.weight, network.code.bias
        launch("embed_codes", grid, THREADS, codes, lengths, *weights, embedded, frames)
        stream = torch.empty(rows, frames, WIDTH, device=codes.device)
        self._update(stream, network.embed, embedded, add=False)
        for block in self._before:
            self._add_block(block, stream, lengths)
        self._add_transformers(stream.view(-1, WIDTH), rows, frames, lengths)
        for block in self._after:
            self._add_block(block, stream, lengths)
        waves = torch.fft.irfft(self._spectrum(stream), WINDOW_SAMPLES, norm="forward")
        peaks.zero_()
        launch("overlap_add", grid, THREADS, waves, network.window, lengths, samples, peaks, frames)

    def _spectrum(self, stream: Tensor) -> Tensor:
        rows, frames, _ = stream.shape
        head = self._network.head(self._network.final_layer_norm(stream))
        spectrum = torch.empty(rows, frames, BINS, dtype=torch.complex64, device=stream.device)
        blocks = rows * frames, -(-BINS // THREADS)
        self._launch("polar_spectrum", blocks, THREADS, head, spectrum)
        return spectrum

    def _add_block(self, block: ConvBlock, stream: Tensor, lengths: Tensor) -> None:
        normed = self._normalise("stream", block.norm1, stream, None, lengths)
        hidden = _convolve(block.conv1, normed)
        normed = self._normalise("hidden", block.norm2, hidden, self._biases[block.conv1], lengths)
        self._update(stream, block.conv2, normed, add=True)

    def _normalise(
        self,
        kind: Literal["stream", "hidden"],
        norm: FrameNorm,
        x: Tensor,
        offset: Tensor | None,
        lengths: Tensor,
    ) -> Tensor:
        """Apply norm and SiLU to x + offset; `kind` is stream for float32, hidden for products."""
        rows, frames, _ = x.shape
        statistics = torch.empty(rows, GROUPS, 2, device=x.device)
        arguments = x, offset, lengths, statistics, frames
        self._launch(f"{kind}_statistics", (GROUPS, rows), THREADS, *arguments)
        normed = torch.empty(x.shape, dtype=self._dtype, device=x.device)
        arguments = x, offset, statistics, norm.weight, norm.bias, lengths, normed, frames
        self._launch(f"normalise_{kind}", (frames, rows), THREADS, *arguments)
        return normed

    def _update(self, stream: Tensor, conv: FrameConv, x: Tensor, *, add: bool) -> None:
        """Set the stream to the convolution of x, or add it."""
        hidden, blocks = _convolve(conv, x), (x.shape[0] * x.shape[1], 1)
        self._launch("update_stream", blocks, THREADS, stream, hidden, self._biases[conv], int(add))

    def _add_transformers(self, stream: Tensor, rows: int, frames: int, lengths: Tensor) -> None:
        """Run the transformer layers on the stream (rows x frames, width)."""
        attend = self._attention(rows, frames, lengths)
        for layer in self._layers:
            qkv = functional.linear(self._rms_norm(layer.att_norm, stream), layer.qkv.weight)
            _add_product(stream, attend(qkv), layer.out.weight)
            up = functional.linear(self._rms_norm(layer.ffn_norm, stream), layer.up.weight)
            _add_product(stream, functional.silu(up, inplace=True), layer.down.weight)

    def _attention(self, rows: int, frames: int, lengths: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the attention of a batch: (rows x frames, 3 x width) to (rows x frames, width)."""
        if self._flash_attention:
            ends = (rows + 1) * frames
            starts = torch.arange(0, ends, frames, dtype=torch.int32, device=lengths.device)
            return partial(_flash_attention, starts=starts, lengths=lengths.int(), frames=frames)
        keys = torch.arange(frames, device=lengths.device) < lengths[:, None]
        return partial(_masked_attention, bias=attention_bias(keys, self._dtype))

    def _rms_norm(self, norm: nn.RMSNorm, stream: Tensor) -> Tensor:
        normed = torch.empty(stream.shape, dtype=self._dtype, device=stream.device)
        count = len(stream)
        arguments = stream, norm.weight, normed, count
        self._launch("rms_norm", (-(-count // 8), 1), THREADS, *arguments)
        return normed


def _convolve(conv: FrameConv, x: Tensor) -> Tensor:
    """(rows, frames, width) to the same shape, without the bias."""
    # The weights (out, kernel x in) lie in memory as cuDNN's channels-last (out, in, 1, kernel) do.
    weight = conv.weight.unflatten(1, (conv.kernel, -1)).transpose(1, 2)[:, :, None]
    images = x.transpose(1, 2)[:, :, None]
    y = functional.conv2d(images, weight, padding=(0, conv.kernel // 2))
    return y[:, :, 0].transpose(1, 2).contiguous()


def _add_product(stream: Tensor, left: Tensor, weight: Tensor) -> None:
    """Add left @ weight.T to the stream; the product sums in float32 and rounds once."""
    if weight.dtype == torch.float32:
        stream.addmm_(left, weight.t())
    elif stream.is_cuda:
        torch.addmm(stream, left, weight.t(), out_dtype=torch.float32, out=stream)
    else:  # a CPU has no such product
        stream.add_(functional.linear(left, weight))


def _flash_attention(qkv: Tensor, starts: Tensor, lengths: Tensor, frames: int) -> Tensor:
    """Attend to the first frames of each row: `lengths` of them, int32, from `starts` on.

    The operator of `torch.nn.attention.varlen`, which needs no mask.
    """
    query, key, value = qkv.unflatten(1, (3, -1, HEAD_WIDTH)).unbind(1)
    attended = torch.ops.aten._flash_attention_forward(
        query, key, value, starts, starts, frames, frames, 0.0, False, False, seqused_k=lengths
    )
    return cast(Tensor, attended[0]).flatten(1)


def _masked_attention(qkv: Tensor, bias: Tensor) -> Tensor:
    split = qkv.unflatten(0, (len(bias), -1)).unflatten(2, (3, -1, HEAD_WIDTH))
    query, key, value = split.permute(2, 0, 3, 1, 4)
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    return attended.transpose(1, 2).flatten(2).flatten(0, 1)
