from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training.lengths import Lengths
from training.loop import Measured, Plan, Run, add_training, build_plan


def plan(folder: Path, steps: int, minutes: float = 10.0) -> Plan:
    return Plan(
        folder / "checkpoint.pt", steps, minutes, torch.device("cpu"), seed=3, warmup_steps=10
    )


def run(folder: Path, steps: int) -> Run:
    """Fits a line to noisy points that the batch's generator draws."""
    torch.manual_seed(0)
    run = Run(plan(folder, 100), nn.Linear(1, 1))

    def measure(chance: np.random.Generator) -> Measured:
        x = torch.tensor(chance.normal(size=(8, 1)), dtype=torch.float32)
        error = run.model(x) - (2 * x + 1)
        return Measured((error**2).mean(), {"largest": error.abs().max()})

    while run.step < steps:
        run.improve(measure)
    return run


def test_a_run_that_is_resumed_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = run(tmp_path / "whole", 40)
    run(tmp_path / "broken", 25).save()
    resumed = run(tmp_path / "broken", 25)
    assert resumed.step == 25
    broken = run(tmp_path / "broken", 40)
    for expected, actual in zip(whole.model.parameters(), broken.model.parameters(), strict=True):
        assert torch.equal(expected, actual)


def test_the_rate_rises_and_falls_with_the_budget_used_up(tmp_path: Path) -> None:
    long = plan(tmp_path, 1000)
    rates = [long.rate(step, 0) for step in (0, 9, 500, 999)]
    assert rates[0] < rates[2] < rates[1]
    assert rates[3] == pytest.approx(0.05 * long.learning_rate, rel=0.01)
    assert long.rate(9, 60 * 9.99) == pytest.approx(0.05 * long.learning_rate, rel=0.01)


@pytest.mark.parametrize(("steps", "minutes", "trained"), [(3, 10.0, 3), (1000, 1e-9, 1)])
def test_steps_and_minutes_both_end_a_run(
    tmp_path: Path, steps: int, minutes: float, trained: int
) -> None:
    model = nn.Linear(1, 1)
    run = Run(plan(tmp_path, steps, minutes), model)
    run.train(lambda _: Measured(model(torch.ones(1, 1)).sum(), {}))
    assert run.step == trained
    assert (tmp_path / "checkpoint.pt").exists()


def test_progress_names_every_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Linear(1, 1)
    Run(plan(tmp_path, 51), model).train(
        lambda _: Measured(model(torch.ones(1, 1)).sum(), {"x": torch.tensor(2.0)})
    )
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("step 50 ")
    assert "loss" in first
    assert "x 2.0000" in last


def test_fresh_forgets_the_checkpoint(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_training(parser, minutes=1)
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "checkpoint.pt").touch()
    options = argparse.Namespace(data=tmp_path, seed=0, **vars(parser.parse_args(["--fresh"])))
    assert not build_plan(options, "lm").checkpoint.exists()


def test_a_batch_holds_neighbours_in_length() -> None:
    lengths = Lengths(list(range(1, 201)), list(range(1, 201)))
    for seed in range(50):
        batch = lengths.draw(np.random.default_rng(seed), 400)
        assert len(set(batch)) == len(batch) > 0
        assert max(batch) - min(batch) <= max(4 * len(batch), 1)
    assert lengths.draw(np.random.default_rng(0), 1) != []
