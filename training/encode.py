"""Encode the speech to codes: `python -m training.encode`. 500 times real time on one core.

The encoder's weights are those in the data folder's `codec/`, or else those in training/weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load

from training.codec_encoder import BuiltinEncoder, Encoder, load_builtin_encoder
from training.folder import add_folder
from training.utterances import SETS, SpeechSet

PROGRESS_UTTERANCES = 2000


def load_encoder(weights: Path) -> BuiltinEncoder:
    """Load the encoder from a weights file, or from training/weights if the file does not exist."""
    if not weights.exists():
        return load_builtin_encoder()
    encoder = Encoder()
    encoder.load_state_dict(load(weights.read_bytes()))
    return BuiltinEncoder(encoder.float().eval())


def encode(files: SpeechSet, encoder: BuiltinEncoder) -> NDArray[np.uint16]:
    """Encode all utterances, and concatenate their codes."""
    codes: list[NDArray[np.uint16]] = []
    samples = files.samples()
    for utterance in files.utterances():
        own = samples[utterance.first_sample : utterance.first_sample + utterance.samples]
        encoded = encoder.encode(own.astype(np.float32) / np.float32(32768))
        codes.append(encoded[:, 0].astype(np.uint16))
        if len(codes) % PROGRESS_UTTERANCES == 0:
            print(f"{files.name} {len(codes)} utterances", flush=True)
    return np.concatenate(codes)


def main(arguments: list[str] | None = None) -> None:
    """Encode both sets, and print how much of the codebook each uses."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    encoder = load_encoder(options.data / "codec" / "codec_encoder.safetensors")
    for name in SETS:
        files = SpeechSet(options.data / "speech", name)
        codes = encode(files, encoder)
        np.save(files.codes, codes)
        counts = np.unique_counts(codes).counts
        share = counts / counts.sum()
        bits = float(-(share * np.log2(share)).sum())
        print(f"{name}: {len(codes)} codes, {len(counts)} different, {bits:.1f} bits", flush=True)


if __name__ == "__main__":
    main()
