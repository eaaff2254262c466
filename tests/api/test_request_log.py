"""The log record of a request: its fields, its end and its first failure."""

from __future__ import annotations

from typing import Any

from app.api.middleware.api_keys import key_number_of
from app.api.middleware.request_log import RequestLog, format_fields, request_log_of


def test_the_first_failure_stays() -> None:
    log = RequestLog("x")
    log.fail("cancelled", "the client did not read")
    log.fail("cut_off", "cancelled at shutdown")
    assert (log.error, log.reason) == ("cancelled", "the client did not read")


def test_a_failure_without_a_reason_gets_none_of_a_later_one() -> None:
    log = RequestLog("x")
    log.fail("request_timeout")
    log.fail("cancelled", "the client disconnected")
    assert log.fields() == {"error": "request_timeout"}


def test_fields_that_are_not_set_are_not_logged() -> None:
    log = RequestLog("x", key=2)
    log.finish_reason = "stop"
    assert log.fields() == {"key": 2, "finish_reason": "stop"}
    assert format_fields(log.fields()) == "key=2 finish_reason=stop"


def test_a_request_that_ends_without_a_response_is_broken_and_has_the_status_0() -> None:
    log = RequestLog("x")
    log.end(0.25, complete=False)
    assert log.fields() == {"status": 0, "broken": True, "duration_s": 0.25}


def test_a_response_that_the_connection_has_written_is_complete() -> None:
    log = RequestLog("x")
    log.status = 408
    log.broken = False
    log.end(1.0, complete=False)
    assert log.fields() == {"status": 408, "broken": False, "duration_s": 1.0}


def test_all_readers_of_a_scope_share_its_log() -> None:
    scope: dict[str, Any] = {"type": "http", "headers": [(b"x-request-id", b"mine")]}
    log = request_log_of(scope)
    log.key = 3
    assert request_log_of(scope) is log
    assert log.request_id == "mine"
    assert key_number_of(scope) == 3
