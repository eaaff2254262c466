"""The watchdog: a decode call that does not return is reported once, and no other call is."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator

import pytest

from app.decode.watchdog import Watchdog, WatchedCall


class Bell:
    """Remembers for whom it was rung."""

    def __init__(self) -> None:
        self.rung_for: list[WatchedCall] = []
        self.rung = threading.Event()

    def __call__(self, watch: WatchedCall) -> None:
        self.rung_for.append(watch)
        self.rung.set()


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def guard(bell: Bell) -> Generator[Watchdog]:
    dog = Watchdog(0.2, bell)
    yield dog
    dog.close()


def test_a_call_that_lasts_too_long_is_told_of(guard: Watchdog, bell: Bell) -> None:
    quick, slow = guard.watch(), guard.watch()
    guard.start()
    with quick:
        pass
    with slow:
        assert bell.rung.wait(10)
    assert bell.rung_for == [slow]
    assert slow.thread == threading.get_ident()


def test_calls_that_end_are_not_however_many_follow_each_other(guard: Watchdog, bell: Bell) -> None:
    watch = guard.watch()
    guard.start()
    for _ in range(20):
        with watch:
            time.sleep(0.03)
    assert not bell.rung.is_set()
    assert watch.due_s == math.inf


def test_a_call_after_a_long_rest_is_watched_as_well(guard: Watchdog, bell: Bell) -> None:
    watch = guard.watch()
    guard.start()
    with watch:
        pass
    time.sleep(0.5)  # the thread has looked, and waits for no time in particular
    with watch:
        assert bell.rung.wait(10)


def test_a_call_that_raises_is_over(guard: Watchdog, bell: Bell) -> None:
    watch = guard.watch()
    guard.start()
    with pytest.raises(LookupError), watch:
        raise LookupError
    assert not bell.rung.wait(0.4)


def test_a_process_that_stood_still_gets_its_time_again(
    bell: Bell,
) -> None:
    """A frozen container thaws, and finds that a call began an hour ago."""
    jump_s, entered = 0.0, threading.Event()

    def clock() -> float:
        entered.set()
        return time.monotonic() + jump_s

    guard = Watchdog(0.2, bell, clock=clock)
    watch = guard.watch()
    with watch:
        guard.start()
        assert entered.wait(10)
        time.sleep(0.05)  # by now it sleeps
        jump_s = 3_600.0
        time.sleep(0.25)  # its sleep is over, and its clock has run on
        assert not bell.rung.is_set()
        assert bell.rung.wait(10)
    guard.close()


def test_closing_ends_the_thread() -> None:
    dog = Watchdog(60, Bell())
    dog.watch()
    dog.start()
    dog.close()
    for thread in threading.enumerate():
        if thread.name == "decode-watchdog":
            thread.join(10)
            assert not thread.is_alive()
