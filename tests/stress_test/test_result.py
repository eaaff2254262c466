"""A result as a file: written and read again; other files are rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stress_test.figures import Figures
from stress_test.generator import Timing
from stress_test.load import Load
from stress_test.processes import Run
from stress_test.result import NotAResult, Result, read
from tests.stress_test.outcomes import completed, failed

RUN = Run(
    (completed(), failed("timed out", number=1, latency_s=2.0)), (Timing(1.0, 2.0, 0.1),), 2.0
)
RESULT = Result.of(Load("http://a", texts=("a secret text",), api_key="secret"), RUN)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(RESULT.dump(), encoding="utf-8")
    again = read(file)
    assert again == RESULT
    assert Figures.of(again.run) == Figures.of(RUN)


def test_a_result_says_everything_but_the_key_and_the_texts() -> None:
    values = json.loads(RESULT.dump())
    assert values["figures"]["errors"] == {"timed out": 1}
    assert values["figures"]["heard"]["first_audio"]["p99"] == 0.1
    assert (values["parameters"]["url"], values["parameters"]["texts"]) == ("http://a", 1)
    assert {"cpu", "cores", "python", "aiohttp", "date"} <= set(values["machine"])
    assert "linear" in values["percentiles"]
    assert "secret" not in RESULT.dump()


OTHERS = [
    "",
    "[]",
    "{}",
    "null",
    '{"tool": "x", "format": 1}',
    RESULT.dump().replace('"format": 1', '"format": 2'),
]
OTHERS += [RESULT.dump().replace('"late_s"', '"later_s"'), RESULT.dump()[:-20]]


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_result_is_refused_with_its_name(text: str, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(NotAResult, match=r"other\.json: not a result of this stress test"):
        read(file)


def test_what_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(NotAResult, match=r"none\.json: No such file"):
        read(tmp_path / "none.json")
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(NotAResult, match=r"picture\.json: not text"):
        read(tmp_path / "picture.json")
