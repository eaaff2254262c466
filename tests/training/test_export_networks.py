"""The networks that ship against the trained ones in torch, and the export of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.builtin.load import load_builtin_codec
from app.codec.fsq import VOCABULARY
from app.engine.embedded.nar import TokenModel, align
from app.engine.embedded.voices import WEIGHTS, read_phoneme_ids
from tests.audio_checks import snr_db
from training.networks.codec_decoder import read_decoder, torch_codec
from training.networks.token_model import read_token_model
from training.safetensors_metadata import phoneme_ids
from training.weight_files import Weights

pytestmark = pytest.mark.process

torch.set_num_threads(1)


def random_ids(phonemes: int) -> list[int]:
    table = [number for symbol, number in read_phoneme_ids().items() if symbol != "$"]
    return [0, *np.random.default_rng(phonemes).choice(table, phonemes).tolist(), 0]


def worst_db(expected: list[Samples], actual: list[Samples]) -> float:
    return min(snr_db(e, a) for e, a in zip(expected, actual, strict=True))


@pytest.mark.parametrize("lengths", [[1], [30], [230], [512], [1, 2, 17, 64], [150, 150]], ids=str)
def test_the_codec_decodes_as_in_torch(lengths: list[int]) -> None:
    random = np.random.default_rng(0)
    windows = [
        CodeWindow(random.integers(0, VOCABULARY, (frames, 1), np.int32), 13 * frames)
        for frames in lengths
    ]
    trained = torch_codec(read_decoder(Weights().decoder.read_bytes()))
    assert worst_db(trained.decode(windows), load_builtin_codec().decode(windows)) >= 100


@pytest.mark.parametrize("phonemes", [1, 10, 40, 200])
def test_the_token_model_gives_the_codes_and_durations_of_torch(phonemes: int) -> None:
    ids = random_ids(phonemes)
    with torch.inference_mode():
        trained = read_token_model(Weights().token_model.read_bytes())
        codes, units = trained(torch.tensor(ids))
    got_codes, got_units = TokenModel(WEIGHTS).predict(ids)
    assert got_units.tolist() == units.tolist()
    assert got_codes == codes.tolist()


def test_a_frame_has_the_phoneme_and_the_position_of_its_centre() -> None:
    phoneme, features = align(np.array([1, 2, 5], np.float32))
    assert phoneme.tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    # The centre of frame 2 is at 2 units, 1 unit into the second phoneme of 2.
    wanted = [0.5, 0.5, 0.25, 0.25, np.log(2), 1]
    assert features[2].tolist() == pytest.approx(wanted, abs=1e-6)


def test_the_phoneme_table_is_the_trained_models() -> None:
    assert read_phoneme_ids() == phoneme_ids(Weights().token_model.read_bytes())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_an_export_gives_the_files_that_ship(tmp_path: Path) -> None:
    from training import export_networks

    export_networks.main(["--data", str(tmp_path / "no data"), "--to", str(tmp_path)])
    names = {path.name for path in tmp_path.glob("*.onnx")}
    assert names == {path.name for path in WEIGHTS.glob("*.onnx")}
    assert json.loads((tmp_path / "phonemes.json").read_text("utf-8")) == read_phoneme_ids()
    ids = random_ids(40)
    assert TokenModel(tmp_path).predict(ids)[0] == TokenModel(WEIGHTS).predict(ids)[0]
    for name in names:
        assert (tmp_path / name).read_bytes() == (WEIGHTS / name).read_bytes(), name
