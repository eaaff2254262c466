from __future__ import annotations

import json
from pathlib import Path

import torch

from app.engine.lm import FIRST_CODE, Chorus, LanguageModel, Shape, draw, prompt_of
from voices.train import evaluate
from voices.train.tokens_lm import new_model, save_model

SMALL = Shape(hidden=48, layers=3, heads=3, key_heads=1, head_width=16, feed=64)
PIECES = [[0, 50, 83, 54, 0], [0, 65, 0], [0, *range(43, 60), 0]]


def small_model(seed: int = 0) -> LanguageModel:
    torch.manual_seed(seed)
    return new_model(SMALL).eval()


@torch.inference_mode()
def alone(model: LanguageModel, ids: list[int], frames: int) -> list[int]:
    """Greedy, everything computed anew at every step."""
    tokens = prompt_of(ids)
    for _ in range(frames):
        code = draw(model(torch.tensor([tokens]))[0, -1], 0.0)
        if code is None:
            break
        tokens.append(FIRST_CODE + code)
    return [token - FIRST_CODE for token in tokens[len(prompt_of(ids)) :]]


def test_requests_that_share_a_batch_get_what_they_get_alone() -> None:
    model = small_model()
    chorus = Chorus(model, 2)
    spoken: dict[int, list[int]] = {}
    first = chorus.join(PIECES[0], 0.0, 0)
    spoken[first] = [code for _ in range(3) if (code := chorus.step()[first]) is not None]
    second = chorus.join(PIECES[2], 0.0, 0)
    spoken[second] = []
    assert chorus.is_full
    for _ in range(5):
        for row, code in chorus.step().items():
            assert code is not None
            spoken[row].append(code)
    assert spoken[first] == alone(model, PIECES[0], 8)
    assert spoken[second] == alone(model, PIECES[2], 5)
    chorus.leave(first)
    reused = chorus.join(PIECES[1], 0.0, 0)
    assert reused == first
    again = [chorus.step()[reused] for _ in range(4)]
    assert again == alone(model, PIECES[1], 4)


def test_a_draw_follows_the_joint_softmax() -> None:
    torch.manual_seed(0)
    logits = torch.zeros(34)
    logits[:32].view(8, 4)[:, 0] = 20.0  # code 0, but for the end
    logits[32] = 160.0 + torch.log(torch.tensor(3.0))  # three times as likely as code 0
    noise = torch.Generator().manual_seed(1)
    drawn = [draw(logits, 1.0, noise) for _ in range(400)]
    assert set(drawn) == {0, None}
    assert 0.68 < drawn.count(None) / 400 < 0.82
    cooler = [draw(logits, 0.5, noise) for _ in range(400)]
    assert 0.85 < cooler.count(None) / 400 < 0.95  # 9 to 1
    assert draw(logits, 0.0) is None


def test_the_same_seed_draws_the_same_codes_whoever_else_speaks() -> None:
    model = small_model()
    (one,) = evaluate.speak_lm(model, PIECES[:1], 1.0, seed=5)
    three = evaluate.speak_lm(model, PIECES, 1.0, seed=5)
    assert one == three[0]
    assert evaluate.speak_lm(model, PIECES[:1], 1.0, seed=6)[0] != one


def test_what_never_ends_is_counted() -> None:
    lengths = evaluate.Lengths(model=[100, 60, 240], teacher=[90, 100, 100], limit=[200, 200, 240])
    assert lengths.report() == {
        "pieces": 3,
        "length_ratio_mean": round((100 / 90 + 0.6 + 2.4) / 3, 3),
        "length_within_30_percent": 0.333,
        "run_on": 1,
    }


def test_both_engines_are_evaluated(tmp_path: Path) -> None:
    (tmp_path / "lm").mkdir()
    save_model(small_model(), tmp_path / "lm" / "language_model.safetensors")
    sentences = tmp_path / "two.txt"
    sentences.write_text("Good morning to you.\nThank you, that is all.\n")
    evaluate.main(["--data", str(tmp_path), "--sentences", str(sentences), "--lengths-only"])
    result = json.loads((tmp_path / "evaluation-lm.json").read_text())
    assert result["sentences"] == result["pieces"] == 2
    assert "word_error_rate" not in result
    (tmp_path / "nar").symlink_to(Path(evaluate.__file__).parents[2] / "app" / "voices")
    evaluate.main(["--data", str(tmp_path), "--sentences", str(sentences), "--lengths-only", "--engine", "nar"])
    result = json.loads((tmp_path / "evaluation-nar.json").read_text())
    assert result["length_within_30_percent"] == 1.0  # it speaks at the teacher's own pace
    assert result["run_on"] == 0
