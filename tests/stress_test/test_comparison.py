"""The comparison of two results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stress_test.__main__ import main
from stress_test.comparison import compare
from stress_test.generator import Timing
from stress_test.load import Load
from stress_test.outcome import Outcome
from stress_test.processes import Run
from stress_test.result import Result
from tests.stress_test.outcomes import completed, failed


def result(load: Load, *outcomes: Outcome) -> Result:
    return Result.of(load, Run(outcomes, (Timing(1.0, 2.0, 0.1),), 10.0))


A = result(
    Load("http://a"), completed(latency_s=1.0), completed(latency_s=3.0), failed("timed out")
)
B = result(
    Load("http://a", concurrency=100),
    completed(latency_s=3.0, steps=None, seam_steps=None, underruns=2),
)


def row(name: str, table: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(name)]
    return line.removeprefix(name).split()


def test_figures_stand_side_by_side_with_their_ratio() -> None:
    table = compare(A, B)
    assert row("time p50, s", table) == ["2.000", "3.000", "1.500"]
    assert row("time to first audio p99, s", table) == ["0.100", "0.100", "1.000"]
    assert row("audio-seconds per second", table) == ["1.000", "0.500", "0.500"]
    assert row("RTF mean", table) == ["0.400", "0.600", "1.500"]


def test_what_one_of_them_lacks_has_no_ratio() -> None:
    table = compare(A, B)
    assert row("failed: timed out", table) == ["1", "-", "-"]
    assert row("steps at seams", table) == ["0", "-", "-"]
    assert row("underruns ", table) == ["0", "2", "-"]
    assert "RTF" not in compare(result(Load(""), failed("x")), result(Load(""), failed("x")))


def test_loads_that_differ_say_so() -> None:
    assert compare(A, B).startswith("concurrency: A 50, B 100\n\n")
    assert compare(A, replace(A)).startswith(" ")


def write(folder: Path) -> list[str]:
    for name, made in (("a.json", A), ("b.json", B)):
        (folder / name).write_text(made.dump(), encoding="utf-8")
    return [str(folder / "a.json"), str(folder / "b.json")]


def test_the_command_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *write(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"A: {tmp_path}/a.json\nB: {tmp_path}/b.json\n\n")
    assert printed.endswith(compare(A, B) + "\n")


def test_the_command_says_what_is_wrong_with_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = write(tmp_path)
    assert main(["compare", first, str(tmp_path / "none.json")]) == 2
    assert "none.json: No such file" in capsys.readouterr().err
    assert main(["compare", first]) == 2
    assert "usage:" in capsys.readouterr().err
