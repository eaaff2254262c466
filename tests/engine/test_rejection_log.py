"""The log of an engine's rejections, and its rate limit."""

from __future__ import annotations

import logging

import pytest

from app.engine.vllm.rejection_log import REPEAT_AFTER_S, RejectionLog


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_status_is_told_once_until_the_engine_is_well_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusals = RejectionLog("gpu:9090")
    for now_s in (0.0, 1.0, 10.0, 10_000.0):
        refusals.log_rejection(500, now_s)
    assert lines(caplog) == ["engine gpu:9090 answered 500"]
    refusals.log_recovery(10_001.0)
    refusals.log_rejection(500, 10_002.0)
    assert len(lines(caplog)) == 2


def test_a_status_that_comes_between_good_answers_is_told_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusals = RejectionLog("gpu:9090")
    for second in range(2 * int(REPEAT_AFTER_S)):
        refusals.log_rejection(400, second)
        refusals.log_recovery(second + 0.5)
    assert len(lines(caplog)) == 2


@pytest.mark.parametrize(
    ("status", "words", "level"),
    [
        (404, "MODEL_NAME", logging.WARNING),
        (302, "redirect", logging.WARNING),
        (401, "TTS_API_KEY", logging.ERROR),
        (403, "TTS_API_KEY", logging.ERROR),
        (500, "500", logging.WARNING),
    ],
)
def test_a_status_comes_with_what_it_means_most_often(
    status: int, words: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    RejectionLog("gpu:9090").log_rejection(status, 0.0)
    (record,) = caplog.records
    assert record.levelno == level
    assert words in record.getMessage()
    assert f"gpu:9090 answered {status}" in record.getMessage()


def test_each_status_is_told(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RejectionLog("gpu:9090")
    refusals.log_rejection(404, 0.0)
    refusals.log_rejection(500, 0.0)
    assert len(lines(caplog)) == 2
