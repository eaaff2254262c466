from __future__ import annotations

import numpy as np
import pytest
import torch

from app.engine.chorus import Chorus
from app.engine.draw import greedy
from app.engine.lm import FIRST_CODE, LanguageModel, prompt_of
from tests.engine.small_lm import small_model

PIECES = [[0, 50, 83, 54, 0], [0, 65, 0], [0, *range(43, 60), 0]]


@torch.inference_mode()
def alone(model: LanguageModel, ids: list[int], frames: int) -> list[int | None]:
    """The likeliest codes, everything computed anew at every step."""
    tokens, codes = prompt_of(ids), list[int | None]()
    for _ in range(frames):
        code = greedy(model(torch.tensor([tokens]))[0, -1:].numpy())[0]
        codes.append(code)
        if code is None:
            break
        tokens.append(FIRST_CODE + code)
    return codes


def sung(chorus: Chorus, row: int, frames: int) -> list[int | None]:
    """One row's codes, to the end or for some frames."""
    codes: list[int | None] = []
    while len(codes) < frames and (not codes or codes[-1] is not None):
        codes.append(chorus.step()[row])
    return codes


def test_requests_that_share_a_batch_get_what_they_get_alone() -> None:
    model = small_model(end_weight=1.0)
    chorus = Chorus(model, 2)
    first = chorus.join(PIECES[0], 0.0, 0)
    spoken = {first: sung(chorus, first, 3)}
    second = chorus.join(PIECES[2], 0.0, 0)
    spoken[second] = []
    assert chorus.is_full
    for _ in range(5):
        for row, code in chorus.step().items():
            spoken[row].append(code)
    assert spoken[first] == alone(model, PIECES[0], 8)
    assert spoken[second] == alone(model, PIECES[2], 5)
    chorus.leave(first)
    reused = chorus.join(PIECES[1], 0.0, 0)
    assert reused == first
    assert sung(chorus, reused, 4) == alone(model, PIECES[1], 4)


def test_who_ends_frees_the_row() -> None:
    chorus = Chorus(small_model(), 1)
    first = sung(chorus, chorus.join(PIECES[2], 1.0, 5), 400)
    assert first[-1] is None
    assert not chorus.is_full
    assert chorus.step() == {}
    assert sung(chorus, chorus.join(PIECES[2], 1.0, 5), 400) == first


def test_there_is_no_row_beyond_the_last() -> None:
    chorus = Chorus(small_model(), 1)
    chorus.join(PIECES[0], 0.0, 0)
    with pytest.raises(ValueError, match="not in list"):
        chorus.join(PIECES[0], 0.0, 0)


def test_the_same_seed_draws_the_same_codes_whoever_comes_and_goes() -> None:
    model = small_model(end_weight=1.0)
    chorus = Chorus(model, 7)
    expected = sung(chorus, chorus.join(PIECES[2], 0.8, (5, 1)), 120)
    for other in (6, (5, 2)):
        chorus = Chorus(model, 7)
        assert sung(chorus, chorus.join(PIECES[2], 0.8, other), 120) != expected
    chance = np.random.default_rng(0)
    crowd = Chorus(model, 7)
    others = [crowd.join(PIECES[index % 3], 1.3, index) for index in range(3)]
    watched = crowd.join(PIECES[2], 0.8, (5, 1))
    codes: list[int | None] = []
    for step in range(120):
        codes.append(crowd.step()[watched])
        if others and chance.random() < 0.3:
            crowd.leave(others.pop(int(chance.integers(len(others)))))
        if not crowd.is_full and chance.random() < 0.3:
            others.append(crowd.join(PIECES[step % 3], 0.9, 100 + step))
    assert codes == expected


def test_the_voice_is_part_of_the_prompt() -> None:
    chorus = Chorus(small_model(end_weight=1.0), 2)
    lark, heron = (chorus.join(PIECES[2], 0.0, 0, voice) for voice in ("lark", "heron"))
    steps = [chorus.step() for _ in range(20)]
    assert [step[lark] for step in steps] != [step[heron] for step in steps]
