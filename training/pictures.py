"""Draw sentences to `training/pictures/*.png`: `python -m training.pictures`. Needs '.[judge]'.

Each picture has the waveforms and spectrograms of one sentence, spoken by the teacher, by the codec
with the teacher's speech, and by both token models.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from app.audio.samples import Samples
from app.codec.builtin.load import SPEC
from app.engine.embedded.phonemes import Phonemiser
from app.engine.embedded.voices import VOICES
from training.evaluate import BENCH
from training.folder import add_folder
from training.speakers import load_speaker, phonemise_lines
from training.study import possible
from training.teacher import phoneme_table
from training.weight_files import Weights, trained_weights

PICTURES = Path(__file__).parent / "pictures"
SENTENCES = (3, 50, 52)  # lines of bench/sentences.txt: plain prose, digits, a name and a time
SPEAKERS = {
    "teacher": "teacher",
    "codec": "codec",
    "lm-greedy": "language model",
    "nar": "one-pass model",
}
FFT_SAMPLES, HOP_SAMPLES = 1024, 120
HIGHEST_KHZ = 8.0
FLOOR_DB = -60.0
LOUD = 0.99  # quantile of the power that is drawn as 0 dB
GREYS = 32  # grey levels of the files, which are a quarter as large as with 256

Said = Mapping[str, Samples]  # speaker to samples


def spectrogram(samples: Samples) -> NDArray[np.float64]:
    """Return levels (513 bins, steps of 5 ms) in dB, with a floor of -60 dB."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FFT_SAMPLES)[::HOP_SAMPLES]
    power = np.abs(np.fft.rfft(frames * np.hanning(FFT_SAMPLES))) ** 2
    relative = power / np.quantile(power, LOUD)
    return (10 * np.log10(np.maximum(relative, 10 ** (FLOOR_DB / 10)))).T


def draw(text: str, said: Said) -> Figure:
    """Draw waveforms and spectrograms of all speakers, below each other, on one time axis."""
    figure = Figure((10, 3.2 * len(said)), dpi=90, layout="constrained")
    max_s = max(map(len, said.values())) / SPEC.sample_rate_hz
    rows = figure.subplots(2 * len(said), 1, sharex=True, height_ratios=[1, 4] * len(said))
    for number, (name, samples) in enumerate(said.items()):
        _draw_one(rows[2 * number : 2 * number + 2], name, samples)
    rows[0].set_xlim(0, max_s)
    rows[-1].set_xlabel("s")
    figure.suptitle(text, fontsize=10)
    return figure


def _draw_one(axes: Sequence[Axes], name: str, samples: Samples) -> None:
    wave, levels = axes
    duration_s = len(samples) / SPEC.sample_rate_hz
    wave.plot(np.arange(len(samples)) / SPEC.sample_rate_hz, samples, linewidth=0.3, color="black")
    wave.set_ylim(-0.5, 0.5)
    wave.set_yticks([])
    wave.set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
    extent = (0.0, duration_s, 0.0, SPEC.sample_rate_hz / 2000)
    levels.imshow(
        spectrogram(samples),
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="gray_r",
        vmin=FLOOR_DB,
        vmax=0,
    )
    levels.set_ylim(0, HIGHEST_KHZ)
    levels.set_ylabel("kHz", fontsize=8)


def save(figure: Figure, path: Path) -> None:
    """Save a figure as a PNG with 32 grey levels."""
    figure.savefig(path)
    Image.open(path).convert("L").quantize(GREYS).save(path, optimize=True)


def main(arguments: list[str] | None = None) -> None:
    """Generate the sentences, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    parser.add_argument("--trained", action="store_true", help="use the weights in the data folder")
    parser.add_argument("--voice", choices=VOICES, default=VOICES[0])
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="folder for the pictures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    mpl.use("Agg")
    texts = (BENCH / "sentences.txt").read_text(encoding="utf-8").splitlines()
    lines = phonemise_lines(Phonemiser(phoneme_table()), [texts[number] for number in SENTENCES])
    weights = trained_weights(options.data) if options.trained else Weights()
    speakers = {
        name: load_speaker(name, weights, 0.0, options.seed)
        for name in possible(list(SPEAKERS), weights)
    }
    said = {
        SPEAKERS[name]: speaker.speak(lines, options.voice) for name, speaker in speakers.items()
    }
    options.pictures.mkdir(parents=True, exist_ok=True)
    for number, (sentence, line) in enumerate(zip(SENTENCES, lines, strict=True)):
        figure = draw(line.text, {name: takes[number].samples for name, takes in said.items()})
        path = options.pictures / f"sentence-{sentence + 1}.png"
        save(figure, path)
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
