# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
"""SNAC 24 kHz: three codebooks of 4,096 in frames of 7 codes and 85.3 ms.

Windows and batches decode exactly as whole streams do.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from app.codec.eager import EagerCodec
from app.codec.hub import DECODER_FILES, CodecWeightsError, Report, find_file, log_progress
from app.codec.load import CodecOptions
from app.codec.registry import RANDOM
from app.codec.spec import CodecSpec
from app.codec.weights import Tensors, draw_tensors, read_tensors

# The package scripts its activation on import, which torch 2.10 and later deprecate.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from snac import SNAC
    from snac.layers import Snake1d
    from snac.vq import VectorQuantize

FRAME_SAMPLES = 2_048
LATENTS_PER_FRAME = 4
# Index in the frame of the code of each latent, for each codebook: coarse, mid, fine.
SLOTS = (
    (0, 0, 0, 0),
    (1, 1, 4, 4),
    (2, 3, 5, 6),
)
NOISE_FRAMES = 256  # period of the noise: 21.8 s
CPU_WINDOW_FRAMES = 32
GPU_WINDOW_FRAMES = 64


class Snake(nn.Module):
    """x + sin²(ax) / a, which maps zero to zero."""

    def __init__(self, alpha: Tensor) -> None:
        super().__init__()
        self.alpha = nn.Parameter(alpha)
        self.inverse = nn.Parameter((alpha + 1e-9).reciprocal())

    def forward(self, x: Tensor) -> Tensor:
        # Allocates one array, not four: at 24 kHz and 64 channels allocation takes longer than the
        # arithmetic.
        bend = (self.alpha * x).sin_()
        return bend.mul_(bend).mul_(self.inverse).add_(x)


class Stage(nn.Module):
    """An upsampling of the decoder: transposed convolution, noise by position, residual units."""

    noise: Tensor

    def __init__(
        self,
        snake: nn.Module,
        up: nn.Module,
        gain: nn.Module,
        units: Sequence[nn.Module],
        rate: int,
    ) -> None:
        super().__init__()
        self.snake = snake
        self.up = up
        self.gain = gain
        self.units = nn.ModuleList(units)
        self.rate = rate  # steps per frame, after upsampling
        table = torch.randn(NOISE_FRAMES * rate, generator=torch.Generator().manual_seed(rate))
        self.register_buffer("noise", table)

    def forward(self, x: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
        """(batch, channels, steps) to 2, 4 or 8 times the steps; the padding of rows stays zero.

        Every convolution therefore sees zeros after a row, as at the end of an unpadded row. In a
        residual unit the only wide convolution comes first, and the activation before it keeps
        zeros.
        """
        x = self.up(self.snake(x))
        steps = torch.arange(x.shape[-1], device=x.device)
        noise = self.noise[(self.rate * first_frames[:, None] + steps) % len(self.noise)]
        x = _zero_padding(x.addcmul_(noise[:, None], self.gain(x)), self.rate, frames)
        for unit in self.units:
            x = _zero_padding(unit(x), self.rate, frames)
        return x


def _zero_padding(x: Tensor, rate: int, frames: Tensor | None) -> Tensor:
    """Set the steps beyond each row's `frames` to zero; None: no row is padded."""
    if frames is None:
        return x
    steps = torch.arange(x.shape[-1], device=x.device)
    return x.mul_((steps < rate * frames[:, None])[:, None])


class SnacDecoder(nn.Module):
    """Codes to samples, from the decoding parts of a `snac.SNAC`."""

    tables: Tensor
    slots: Tensor

    def __init__(self, model: SNAC) -> None:
        super().__init__()
        layers = list(cast(nn.Sequential, _fold_weight_norms(model.decoder.model)))
        rates = np.cumprod([LATENTS_PER_FRAME, *model.decoder_rates])[1:].tolist()
        self.entry = nn.Sequential(*layers[:2])
        self.stages = nn.ModuleList(
            _stage(block, rate) for block, rate in zip(layers[2:-3], rates, strict=True)
        )
        self.exit = nn.Sequential(*layers[-3:])
        tables = [
            _code_vectors(cast(VectorQuantize, _fold_weight_norms(book)))
            for book in model.quantizer.quantizers
        ]
        self.register_buffer("tables", torch.stack(tables))
        # A buffer, because a list would be copied to the device at each call.
        self.register_buffer("slots", torch.tensor(SLOTS))

    def forward(self, codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
        """Codes (batch, frames, 7) to samples (batch, 2048 x frames); see `Network`."""
        books = [
            table[codes[..., slots]] for table, slots in zip(self.tables, self.slots, strict=True)
        ]
        x = _zero_padding(
            torch.stack(books).sum(0).flatten(1, 2).transpose(1, 2), LATENTS_PER_FRAME, frames
        )
        x = _zero_padding(self.entry(x), LATENTS_PER_FRAME, frames)
        for stage in self.stages:
            x = stage(x, first_frames, frames)
        return self.exit(x)[:, 0].float()


def _fold_weight_norms(module: nn.Module) -> nn.Module:
    """Fold weight norms into the weights and replace the activation by `Snake`; in place."""
    for part in module.modules():
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight")
        for name, child in part.named_children():
            if isinstance(child, Snake1d):
                setattr(part, name, Snake(child.alpha.detach()))
    return module


def _stage(block: nn.Module, rate: int) -> Stage:
    snake, up, noise, *units = cast(nn.Sequential, block.block)
    return Stage(snake, up, cast(nn.Module, noise.linear), units, rate)


@torch.no_grad()
def _code_vectors(book: VectorQuantize) -> Tensor:
    """Return the contribution of each code to a latent: (4096, channels)."""
    return book.out_proj(book.codebook.weight.T[None])[0].T


def snac_spec(max_window_frames: int) -> CodecSpec:
    """Build the spec. The receptive field is 2.5 frames to each side, so 3 make windows exact."""
    return CodecSpec(
        name="snac",
        sample_rate_hz=24_000,
        samples_per_frame=FRAME_SAMPLES,
        codes_per_frame=7,
        vocabulary=4_096,
        left_context_frames=3,
        right_context_frames=3,
        seamless=True,
        max_window_frames=max_window_frames,
    )


def load(options: CodecOptions, device: str, dtype: torch.dtype, report: Report) -> EagerCodec:
    """Load the codec for the service; see `Loader`."""
    return load_snac(options.weights, device=device, dtype=dtype, report=report)


def load_snac(
    weights: str, *, device: str, dtype: torch.dtype, report: Report = log_progress
) -> EagerCodec:
    """Read the decoder of SNAC 24 kHz.

    Args:
        weights: a folder or file, a hub id (or id@revision), or "random" (seeded, with a warning in
            the log).
        device: the torch device, "cpu" or "cuda:0".
        dtype: of all weights; the samples are float32.
        report: called with the progress of a download.

    Raises:
        CodecWeightsError: the weights cannot be found, read or used.
    """
    model = _published_model()
    if weights == RANDOM:
        state = _draw(model)
    else:
        path = find_file(weights, *DECODER_FILES, report=report)
        state = read_tensors(path, ("decoder.", "quantizer."))
    state = {name: tensor.to(torch.float32, copy=True) for name, tensor in state.items()}
    try:
        missing = model.load_state_dict(state, strict=False, assign=True).missing_keys
    except RuntimeError as exc:
        raise CodecWeightsError(f"{weights}: not the size of SNAC 24 kHz") from exc
    needed = [
        name for name in missing if not name.startswith("encoder.") and ".in_proj." not in name
    ]
    if needed:
        raise CodecWeightsError(f"{weights}: has no tensor {needed[0]}")
    decoder = SnacDecoder(model).to(device, dtype).eval().requires_grad_(False)
    on_cpu = torch.device(device).type == "cpu"
    spec = snac_spec(CPU_WINDOW_FRAMES if on_cpu else GPU_WINDOW_FRAMES)
    # On a CPU four windows of 32 frames decode 1.3 to 1.6 times faster in turn than as one batch.
    return EagerCodec(spec, decoder, device, one_by_one=on_cpu)


def _published_model() -> SNAC:
    """Build the network of config.json in hubertsiuzdak/snac_24khz."""
    return SNAC(
        sampling_rate=24_000,
        encoder_dim=48,
        encoder_rates=[2, 4, 8, 8],
        decoder_dim=1_024,
        decoder_rates=[8, 8, 4, 2],
        attn_window_size=None,  # pyright: ignore[reportArgumentType]
        codebook_size=4_096,
        codebook_dim=8,
        vq_strides=[4, 2, 1],
        noise=True,
        depthwise=True,
    )


def _draw(model: SNAC) -> Tensors:
    state = draw_tensors(model, seed=0)
    noise = ".linear.parametrizations.weight.original0"
    residual = ".block.3.parametrizations.weight.original0"
    for name in state:
        if name.endswith((noise, residual)):
            state[name] *= 0.3  # small beside the signal, as in a trained decoder
    state["decoder.model.7.parametrizations.weight.original0"] *= 0.2
    return state
