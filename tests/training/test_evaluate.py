from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from training import evaluate, study
from training.evaluate import main, merged
from training.language_model import Shape
from training.tokens_lm import new_model, save_model
from training.weight_files import Weights, trained_weights

# Everything is loaded once, which takes 8 s of a core.
pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]
TINY = Shape(hidden=16, layers=1, heads=1, key_heads=1, head_width=16, feed=16)
SAID = ["Good morning.", "Thank you, that is all.", "Not yet."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a tiny language model, and three sentences in the place of a hundred."""
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("evaluated")
    (made / "lm").mkdir()
    save_model(new_model(TINY), made / "lm" / "language_model.safetensors")
    (made / "sentences.txt").write_text("\n".join(SAID))
    (made / "held.txt").write_text("Good evening.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "BENCH", made)
        yield made


def measured(
    folder: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> dict[str, dict[str, object]]:
    """Return the JSON that the command prints at its end."""
    main(["--data", str(folder), "--trained", "--print-only", "--lengths-only", *options])
    printed = capsys.readouterr().out
    return json.loads(printed[printed.index("\n{") :])


def test_parts_are_measured_without_the_recogniser(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = measured(
        folder, capsys, "--only", "nar", "lm", "speed", "streaming", "--temperature", "0.5"
    )
    assert list(parts) == ["nar", "lm", "speed", "streaming"]
    first_voice, other_voice = parts["nar"]["lark"], parts["nar"]["heron"]
    assert isinstance(first_voice, dict)
    assert isinstance(other_voice, dict)
    assert (first_voice["pieces"], other_voice["pieces"]) == (3, 2)
    assert first_voice["length_within_30_percent"] == 1.0  # it speaks at the teacher's own pace
    assert "word_error_rate" not in first_voice
    assert parts["lm"]["temperature"] == 0.5
    assert parts["speed"]["sentences"] == 3
    rates = {name: value for name, value in parts["speed"].items() if name.endswith("rtf")}
    assert len(rates) == 4
    assert all(isinstance(rate, float | int) and rate > 0 for rate in rates.values())
    assert isinstance(worst := parts["streaming"]["db_min"], float)
    assert worst >= 90


def test_run_ons_are_counted_over_sentences_never_trained_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = measured(folder, capsys, "--run-ons", "1")
    assert list(parts) == ["run_ons"]
    greedy, drawn = parts["run_ons"]["lm-greedy"], parts["run_ons"]["lm"]
    assert isinstance(greedy, dict)
    assert isinstance(drawn, dict)
    assert greedy["pieces"] == drawn["pieces"] == 1
    assert (greedy["temperature"], drawn["temperature"]) == (
        0.0,
        evaluate.PROFILE.sampling.temperature,
    )


def test_parts_without_weights_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = Weights(language_model=tmp_path / "none")
    assert study.possible(["teacher", "lm", "nar", "lm-greedy"], nowhere) == ["teacher", "nar"]
    assert "lm: no weights" in capsys.readouterr().out


def test_trained_weights_come_before_those_that_ship(folder: Path) -> None:
    weights = trained_weights(folder)
    assert weights.language_model == folder / "lm" / "language_model.safetensors"
    assert weights.decoder == Weights().decoder
    facts = weights.facts()
    assert facts["language_model"]["parameters"] == sum(
        value.numel() for value in new_model(TINY).parameters()
    )
    assert facts["decoder"]["bytes"] == Weights().decoder.stat().st_size
    assert len(str(facts["decoder"]["sha256"])) == 64


def test_a_result_keeps_the_parts_whose_networks_are_the_same() -> None:
    facts = {"decoder": {"sha256": "a"}, "language_model": {"sha256": "a"}}
    earlier = {
        "machine": {},
        "weights": facts,
        "teacher": {},
        "codec": {"lark": 1},
        "run_ons": {"lm": 1},
        "speed": {},
    }
    new = {"codec": {"lark": 2}}
    same = {name: part for name, part in earlier.items() if name != "machine"}
    assert merged(earlier, facts, new) == {**same, **new}
    other = {**facts, "decoder": {"sha256": "b"}}
    assert merged(earlier, other, new) == {
        "weights": other,
        "teacher": {},
        "run_ons": {"lm": 1},
        **new,
    }
    assert merged(earlier, {"decoder": {"sha256": "a"}}, {}).keys() == {
        "weights",
        "teacher",
        "codec",
        "speed",
    }
    assert merged({}, facts, new) == {"weights": facts, **new}
