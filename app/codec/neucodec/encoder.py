# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportArgumentType=false, reportOptionalSubscript=false
"""Encoder of NeuCodec, for voice cloning: transformers' `NeuCodecModel` without its decoder.

Its own feature extractor needs torchaudio. That of SeamlessM4T computes the same features without
torchaudio (80 Kaldi mel bins, normalised per bin, two frames per row). They differ by at most 1e-4
from those of kaldi-native-fbank 1.23, at a standard deviation of 1.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from safetensors import SafetensorError

from app.audio.samples import Samples
from app.codec.device_errors import map_device_errors
from app.codec.hub import find_file
from app.codec.registry import RANDOM
from app.codec.weights import draw_tensors
from app.errors import LoadError

if TYPE_CHECKING:
    from transformers import NeuCodecModel
    from transformers.models.neucodec.modeling_neucodec import NeuCodecEncoderOutput


RATE_HZ = 16_000
HOP_SAMPLES = 320  # samples at 16 kHz per code: 50 codes a second
MEL_PADDING = 1.0  # padding value of NeuCodecFeatureExtractor

log = logging.getLogger(__name__)


class NeuCodecEncoder:
    """Encoder of audio to codes. Not thread-safe: one call at a time."""

    def __init__(self, model: NeuCodecModel, device: str) -> None:
        from transformers import SeamlessM4TFeatureExtractor  # noqa: PLC0415  (an optional extra)

        self._model, self._device = model, device
        self._features = SeamlessM4TFeatureExtractor(padding_value=MEL_PADDING)

    @map_device_errors
    def encode(self, samples: Samples) -> tuple[int, ...]:
        """Encode at least 0.1 s of 16 kHz audio to 50 codes a second, each 0 <= code < 65,536."""
        # Pad by at least one sample to a whole number of hops, as NeuCodecFeatureExtractor does.
        padded = np.pad(samples, (0, HOP_SAMPLES - len(samples) % HOP_SAMPLES))
        extracted = self._features(padded, sampling_rate=RATE_HZ, return_tensors="pt")
        features = extracted["input_features"].to(self._device)
        sound = torch.from_numpy(padded)[None, None].to(self._device)
        with torch.inference_mode():
            encoded = self._model.encode(sound, features)
        return tuple(cast("NeuCodecEncoderOutput", encoded).audio_codes[0, 0].tolist())


def load_encoder(weights: str, device: str) -> NeuCodecEncoder:
    """Load the encoder (1.8 GB in float32) from a hub id or folder in transformers' layout.

    "random" loads a small network with seeded random weights, and logs a warning.

    Raises:
        LoadError: the transformers package or the weights are missing, or they are not NeuCodec's.
    """
    try:
        from transformers import NeuCodecModel  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]
    except ImportError as exc:
        raise LoadError(
            "cloning needs the package transformers: pip install 'speech-server[clone]'"
        ) from exc
    model = _random_model() if weights == RANDOM else _read_model(weights)
    encoder = NeuCodecEncoder(model.eval().requires_grad_(False).to(device), device)
    log.info("loaded the voice encoder of NeuCodec on %s", device)
    return encoder


def _read_model(weights: str) -> NeuCodecModel:
    from transformers import NeuCodecModel  # noqa: PLC0415
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()
    folder = _folder(weights)
    try:
        loaded = NeuCodecModel.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as exc:
        raise LoadError(
            f"{weights}: not NeuCodec in transformers' layout ({type(exc).__name__})"
        ) from exc
    model, found = cast("tuple[NeuCodecModel, dict[str, set[str]]]", loaded)
    # transformers only warns about missing tensors, and leaves them random.
    names = found["missing_keys"]
    missing = sorted(name for name in names if not name.startswith("acoustic_decoder."))
    if missing:
        raise LoadError(f"{weights}: has no tensor {missing[0]}")
    del model.acoustic_decoder  # 0.75 GB that the encoder does not need
    return model


def _folder(weights: str) -> Path:
    try:
        find_file(weights, "model.safetensors")
        return find_file(weights, "config.json").parent
    except LoadError as exc:
        raise LoadError(
            f"{exc}; cloning needs config.json and model.safetensors, as transformers writes them"
        ) from exc


def _random_model() -> NeuCodecModel:
    from transformers import NeuCodecConfig, NeuCodecModel, Wav2Vec2BertConfig  # noqa: PLC0415

    log.warning("RANDOM ENCODER WEIGHTS: the codes do not depend on the voice")
    semantic_model = Wav2Vec2BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=16,
        vocab_size=8,
    )
    config = NeuCodecConfig(
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        quantization_dim=80,
        encoder_hidden_size=2,
        semantic_model_config=semantic_model,
    )
    model = NeuCodecModel(config)
    model.load_state_dict(draw_tensors(model, seed=0), strict=False)  # buffers are not drawn
    return model
