"""Readiness: the states, and the errors with which requests are rejected."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import Draining, NotReady
from app.readiness import LOADING, Readiness


def rejected(readiness: Readiness) -> str:
    with pytest.raises(NotReady) as caught:
        readiness.check_loaded()
    assert caught.value.code == "not_ready"
    assert caught.value.retry_after_s == 5
    return caught.value.message


def test_loading_tells_its_progress_and_its_errors_until_it_is_ready() -> None:
    readiness = Readiness()
    assert rejected(readiness) == LOADING
    readiness.set_loading("4 of 9 files")
    assert rejected(readiness) == f"{LOADING}: 4 of 9 files"
    readiness.set_retrying("no route to the hub")
    assert rejected(readiness) == "no route to the hub; it will be retried"
    readiness.set_loading()
    assert rejected(readiness) == LOADING
    assert not readiness.failed
    readiness.set_ready()
    readiness.check_loaded()
    assert readiness.reason == ""


@pytest.mark.parametrize("ready", [False, True])
def test_a_failure_is_told_once_and_rejects_requests(ready: bool) -> None:
    readiness, failures = Readiness(), list[bool]()
    readiness.on_failure = lambda: failures.append(readiness.failed)
    if ready:
        readiness.set_ready()
    readiness.fail("decoding has failed")
    assert rejected(readiness) == "decoding has failed"
    assert failures == [True]


@pytest.mark.parametrize("state", ["loading", "ready", "failed"])
def test_a_service_drains_in_each_state_and_keeps_that_state(state: str) -> None:
    """Requests on a WebSocket that is open already are still served by one that is ready."""
    readiness = Readiness()
    if state == "ready":
        readiness.set_ready()
    if state == "failed":
        readiness.fail("decoding has failed")
    readiness.check_not_draining()
    readiness.drain()
    with pytest.raises(Draining) as caught:
        readiness.check_not_draining()
    assert caught.value.retry_after_s == 1
    assert readiness.failed is (state == "failed")
    if state == "ready":
        readiness.check_loaded()
    else:
        rejected(readiness)


@pytest.mark.parametrize("reason", ["", "the weights are absent"])
async def test_loading_can_be_awaited_and_ends_with_success_or_failure(reason: str) -> None:
    readiness = Readiness()
    waiting = asyncio.create_task(readiness.wait_until_loaded())
    readiness.set_retrying("no route to the hub")
    await asyncio.sleep(0)
    assert not waiting.done()
    if reason:
        readiness.fail(reason)
        with pytest.raises(NotReady, match=reason):
            await waiting
    else:
        readiness.set_ready()
        await waiting
