# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""transformers' NeuCodec with random weights and a minimal encoder, for comparison with ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from app.codec import CodeWindow


def reference_decode(device: str) -> Callable[[Sequence[CodeWindow]], None] | None:
    """Return a function that decodes windows of equal length in float32 and waits for the result.

    Return None if transformers has no NeuCodec.
    """
    try:
        from transformers import NeuCodecConfig, NeuCodecModel, Wav2Vec2BertConfig  # noqa: PLC0415
    except ImportError:
        return None
    encoder = Wav2Vec2BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=16,
        vocab_size=8,
    )
    config = NeuCodecConfig(
        encoder_hidden_size=4, quantization_dim=1024 + 16, semantic_model_config=encoder
    )
    model = NeuCodecModel(config).eval().to(device)

    @torch.inference_mode()
    def decode(windows: Sequence[CodeWindow]) -> None:
        codes = np.stack([window.codes.T for window in windows]).astype(np.int64)
        model.decode(torch.from_numpy(codes).to(device)).audio_values.cpu()

    return decode
