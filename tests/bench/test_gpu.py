"""The benchmark of a GPU, without one: steps that fail, parts that hang, goals, and its checks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.audio.samples import Samples
from app.codec import CodeWindow, DeviceLost
from bench.gpu.__main__ import PARTS, failures
from bench.gpu.goals import Parts, goals
from bench.gpu.neucodec import Checks
from bench.gpu.process import run_process
from bench.gpu.setup import Setup
from bench.gpu.steps import Steps

ROOT = Path(__file__).parents[2]


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row.pop("step"): row for row in rows}


def raising(error: BaseException) -> Callable[[], dict[str, object]]:
    def measure() -> dict[str, object]:
        raise error

    return measure


def test_a_step_that_fails_is_printed_and_the_next_one_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = Steps(60)
    outcomes = [
        steps.run("raises", raising(ValueError("no such shape"))),
        steps.run("lost", raising(DeviceLost("CUDA error"))),
        steps.run("wrong", lambda: {"db": 12, "ok": False}),
        steps.run("late", dict, needs_s=120),
        steps.run("right", lambda: {"db": 95, "ok": True}),
        steps.run("measured", lambda: {"ms": 0.5}),
    ]
    assert outcomes == [False, False, False, False, True, True]
    rows = printed(capsys)
    assert rows["raises"]["error"] == "ValueError: no such shape"
    assert rows["raises"]["at"][-1].startswith("test_gpu.py:")
    assert rows["lost"]["error"] == "DeviceLost: CUDA error"
    assert "left" in rows["late"]["skipped"]
    assert rows["measured"]["ms"] == 0.5


def test_failures_name_the_part_and_the_step() -> None:
    parts: Parts = {
        "machine": {"steps": {"versions": {}, "ceilings": {"skipped": "no GPU"}}, "exit": 0},
        "neucodec": {"steps": {"load": {"ok": False}, "times": {"ok": True}}, "exit": -9},
        "snac": {"skipped": "3 s left"},
    }
    assert failures(parts) == {
        "failed": ["neucodec/load"],
        "skipped": ["machine/ceilings", "snac"],
        "died": ["neucodec"],
    }


HANGS = """
import subprocess, sys, time
print('{"step": "first", "ok": true}', flush=True)
print("not a step", flush=True)
print("the reason", file=sys.stderr, flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
time.sleep(1000)
"""


def test_a_part_that_hangs_is_killed_with_its_children_and_its_steps_are_kept(
    tmp_path: Path,
) -> None:
    # The child holds the pipe, so the call returns only once the child has been killed.
    result = run_process([sys.executable, "-c", HANGS], 2.0, tmp_path / "log")
    assert result["steps"] == {"first": {"ok": True}}
    assert result["exit"] == -9
    assert result["error"] == "the reason\n"


def measured(device: str, **changes: float) -> Parts:
    value = {
        "audio_s_per_s": 21_000,
        "device_ms": 0.5,
        "ratio": 0.98,
        "underruns_at_100": 0,
        "underruns_at_20_per_s": 0,
        **changes,
    }
    loops = {
        f"{streams}_streams": {
            "streams": streams,
            "ratio_to_free": value["ratio"] if streams == 200 else 1.0,
            "underrun_requests": {100: value["underruns_at_100"], 200: 7}.get(streams, 0),
            "believable": streams != 1,
        }
        for streams in (1, 100, 200)
    }
    return {
        "machine": {"steps": {"versions": {"device": device}}},
        "neucodec": {
            "steps": {
                "times": {
                    "32x128": {"audio_s_per_s": value["audio_s_per_s"]},
                    "1x64": {"device_ms": value["device_ms"]},
                }
            }
        },
        "service": {
            "steps": {
                **loops,
                "20_sessions_per_s": {
                    "streams": None,
                    "requests_per_s": 20,
                    "underrun_requests": value["underruns_at_20_per_s"],
                    "believable": True,
                },
                "whole_service": {"skipped": "a package is not installed"},
            }
        },
    }


@pytest.mark.parametrize(
    ("change", "unmet"),
    [
        ({}, []),
        ({"audio_s_per_s": 19_999}, ["neucodec_32x128_audio_s_per_s"]),
        ({"device_ms": 0.61}, ["neucodec_1x64_device_ms"]),
        ({"ratio": 0.96}, ["service_ratio_to_free_codec"]),
        ({"underruns_at_100": 1}, ["service_requests_with_underrun"]),
        ({"underruns_at_20_per_s": 1}, ["service_requests_with_underrun"]),
    ],
)
def test_goals_are_compared_on_an_h200(change: dict[str, float], unmet: list[str]) -> None:
    compared = goals(measured("NVIDIA H200", **change))
    assert [name for name, goal in compared.items() if not goal["met"]] == unmet
    assert {goal["met"] for goal in compared.values()} <= {True, False}
    assert compared["service_requests_with_underrun"]["listeners"] == [1, 98, 100]
    assert compared["service_requests_with_underrun"]["believable"] is False


def test_goals_are_not_judged_on_another_device_or_without_a_value() -> None:
    for parts in (measured("NVIDIA T4"), {"machine": measured("NVIDIA H200")["machine"]}):
        assert {goal["met"] for goal in goals(parts).values()} == {None}
    assert goals(measured("cpu"))["neucodec_1x64_device_ms"]["value"] == 0.5


CORRECTNESS = ("graphs_as_eager", "batch_as_alone", "no_trace_of_earlier_batch", "two_in_flight")


@pytest.fixture(scope="module")
def checks() -> Checks:
    loaded = Checks(Setup(host=True))
    loaded.load()
    return loaded


@pytest.mark.process
@pytest.mark.parametrize("name", CORRECTNESS)
def test_a_codec_whose_rows_affect_each_other_is_found(
    checks: Checks, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(checks, name)()["ok"] is True
    true_decode = checks.codec.decode
    batches = iter(range(1_000))

    def wrong_decode(windows: Sequence[CodeWindow]) -> list[Samples]:
        """Add a trace of the batch size and of the number of earlier batches."""
        trace = np.float32(0.01 * (len(windows) + next(batches)))
        return [samples + trace for samples in true_decode(windows)]

    monkeypatch.setattr(checks.codec, "decode", wrong_decode)
    assert getattr(checks, name)()["ok"] is False


@pytest.mark.slow
def test_the_whole_benchmark_runs_on_a_cpu(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--host", "--quick", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert (summary["failed"], summary["died"], done.returncode) == ([], [], 0)
    result = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert set(result["parts"]) == set(PARTS)
    assert result["machine"]["torch"]
    steps = {part: row["steps"] for part, row in result["parts"].items()}
    assert set(steps["neucodec"]["times"]["1x32"]) >= {"device_ms", "call_ms", "audio_s_per_s"}
    assert steps["snac"]["float32_seams"]["ok"] is True
    assert steps["service"]["call_cost"]["us_per_frame"] > 0
    assert steps["service"]["scheduler_4_streams"]["audio_s_per_s"] > 0
    assert steps["service"]["2_streams"]["ratio_to_free"] > 0
    assert steps["service"]["1_sessions_per_s"]["rtf_p99"] > 0
    assert {goal["met"] for goal in result["goals"].values()} == {None}
