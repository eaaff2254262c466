"""Training loop of all networks: budget, learning-rate schedule, progress, checkpoints."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

PROGRESS_STEPS = 50
CHECKPOINT_S = 60.0
FINAL_RATE = 0.05  # share of the peak rate
PEAK_RATE = 1.5e-3


@dataclass(frozen=True, slots=True)
class Plan:
    """Budget and learning rate of a run. The budget includes the time before a resumption."""

    checkpoint: Path
    steps: int
    minutes: float
    device: torch.device
    seed: int
    learning_rate: float = PEAK_RATE
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    largest_gradient: float = 1.0

    def rate(self, step: int, spent_s: float) -> float:
        """Return the learning rate: linear warm-up, then half a cosine down to a twentieth."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress(step, spent_s))))
        return self.learning_rate * warm * (FINAL_RATE + (1 - FINAL_RATE) * fall)

    def progress(self, step: int, spent_s: float) -> float:
        """Return the used share of the budget, by steps or by time, whichever is larger."""
        return max(step / self.steps, spent_s / 60 / self.minutes)


@dataclass(frozen=True, slots=True)
class Measured:
    """Loss of one batch, with other numbers for the progress lines."""

    loss: Tensor
    numbers: Mapping[str, Tensor]


# Draws its batch from the generator alone, so that a resumed run gets the same batches.
Measure = Callable[[np.random.Generator], Measured]


def add_training(parser: argparse.ArgumentParser, minutes: float) -> None:
    """Add `--minutes`, `--steps`, `--learning-rate`, `--device` and `--fresh`."""
    parser.add_argument("--minutes", type=float, default=minutes, help="time limit")
    parser.add_argument("--steps", type=int, default=10_000_000, help="step limit")
    parser.add_argument("--learning-rate", type=float, default=PEAK_RATE, help="peak learning rate")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--fresh", action="store_true", help="delete an existing checkpoint")


def build_plan(options: argparse.Namespace, name: str) -> Plan:
    """Return the plan of the options. The checkpoint is in `name` in the data folder."""
    folder = options.data / name
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    if options.fresh:
        checkpoint.unlink(missing_ok=True)
    torch.manual_seed(options.seed)  # pyright: ignore[reportUnknownMemberType]
    device = torch.device(options.device)
    return Plan(
        checkpoint, options.steps, options.minutes, device, options.seed, options.learning_rate
    )


class Run:
    """A model in training, with its optimiser, steps and time."""

    def __init__(self, plan: Plan, model: nn.Module) -> None:
        self.plan = plan
        self.model = model.to(plan.device).train()
        self.optimiser = torch.optim.AdamW(
            model.parameters(), betas=plan.betas, weight_decay=plan.weight_decay
        )
        self.step = 0
        self.spent_s = 0.0
        if plan.checkpoint.exists():
            self._resume()

    def train(self, measure: Measure) -> None:
        """Train until the budget is used up, and print the means of every 50 steps."""
        watched: list[Mapping[str, Tensor]] = []
        saved_s = self.spent_s
        while self.plan.progress(self.step, self.spent_s) < 1:
            start_s = time.monotonic()
            watched.append(self.improve(measure))
            self.spent_s += time.monotonic() - start_s
            if self.step % PROGRESS_STEPS == 0:
                self._report(watched)
                watched = []
            if self.spent_s - saved_s > CHECKPOINT_S:
                self.save()
                saved_s = self.spent_s
        if watched:
            self._report(watched)
        self.save()

    def save(self) -> None:
        """Write the checkpoint atomically."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
        }
        unfinished = self.plan.checkpoint.with_suffix(".unfinished")
        torch.save(state, unfinished)
        unfinished.replace(self.plan.checkpoint)

    def improve(self, measure: Measure) -> Mapping[str, Tensor]:
        """Run one step. Return the loss and the other measured numbers."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate(self.step, self.spent_s)
        measured = measure(np.random.default_rng((self.plan.seed, self.step)))
        self.optimiser.zero_grad()
        measured.loss.backward()  # pyright: ignore[reportUnknownMemberType]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.largest_gradient)
        self.optimiser.step()  # pyright: ignore[reportUnknownMemberType]
        self.step += 1
        return {
            "loss": measured.loss.detach(),
            **{name: value.detach() for name, value in measured.numbers.items()},
        }

    def _report(self, watched: list[Mapping[str, Tensor]]) -> None:
        means = {
            name: float(torch.stack([numbers[name].float() for numbers in watched]).mean())
            for name in watched[0]
        }
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        print(f"step {self.step}  {self.spent_s:.0f} s  {numbers}", flush=True)

    def _resume(self) -> None:
        state = torch.load(self.plan.checkpoint, self.plan.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent_s = state["step"], state["spent_s"]
        print(f"resumed at step {self.step}, {self.spent_s:.0f} s", flush=True)
