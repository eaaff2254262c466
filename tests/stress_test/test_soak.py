"""The soak: slopes, its criterion of growth, and a run of three minutes."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from app import metrics
from stress_test.random_client import ClientResult
from stress_test.service import Service
from stress_test.soak import Sample, compute_result, find_growth, p99_ms, run, slope_per_hour
from tests.live_server import serving

LEVEL = Sample(0.0, 400.0, 20, 11, 5.0, 2.0, 0.0, 0.0)
REST = replace(LEVEL, in_flight=0.0)


def samples(per_hour: float) -> list[Sample]:
    """Half an hour; memory that jumps in the first minutes and then grows so many MB an hour."""
    return [
        replace(
            LEVEL,
            at_s=10.0 * k,
            memory_mb=400.0 + (100.0 if k > 10 else 0.0) + per_hour * k * 10.0 / 3600,
        )
        for k in range(181)
    ]


def calls(ms: float = 50.0, outcome: str = "200") -> list[ClientResult]:
    return [
        ClientResult("stream", outcome, started_s=1_000.0 + at, first_s=ms / 1000)
        for at in range(0, 1_800, 10)
    ]


@pytest.mark.parametrize("per_hour", [0.0, 12.0, -3.0])
def test_a_slope_is_that_of_the_last_two_thirds(per_hour: float) -> None:
    assert slope_per_hour(samples(per_hour), "memory_mb") == pytest.approx(per_hour, abs=1e-6)
    assert slope_per_hour(samples(per_hour), "descriptors") == pytest.approx(0, abs=1e-9)


async def test_what_a_service_holds_on_several_devices_is_added_up() -> None:
    devices = ("first", "second")
    async with serving() as served:
        others = (await Service(served.url).metrics()).get(
            "tts_decode_device_memory_bytes", 0.0
        )  # of other tests
        for device in devices:
            metrics.DECODE_MEMORY.labels(device).set(2_000_000)
        told = await Service(served.url).metrics()
        for device in devices:
            metrics.DECODE_MEMORY.remove(device)
    assert told["tts_decode_device_memory_bytes"] - others == 4_000_000
    assert told["tts_requests_in_flight"] == 0


def test_a_percentile_is_that_of_the_streams_of_a_time() -> None:
    mixed = [
        *calls(),
        ClientResult("whole", "200", 1_100.0, first_s=9.0),
        ClientResult("stream", "200", 3_000.0, first_s=9.0),
    ]
    assert p99_ms(mixed, 1_000.0, 2_800.0) == pytest.approx(50)
    assert p99_ms([], 0, 1) == 0


def test_what_stays_level_is_no_growth() -> None:
    result = compute_result(samples(12.0), calls(), 1_000.0, REST)
    assert find_growth(result, max_growth_mb=30) == []
    assert result["p99_ratio"] == 1.0


@pytest.mark.parametrize(
    ("per_hour", "after", "outcome", "wrong"),
    [
        (120.0, REST, "200", "memory grew"),
        (0.0, replace(REST, descriptors=40), "200", "descriptors"),
        (0.0, replace(REST, threads=20), "200", "threads"),
        (0.0, replace(REST, tasks=12.0), "200", "tasks"),
        (0.0, replace(REST, in_flight=1.0), "200", "in_flight"),
        (0.0, replace(REST, queue=1.0), "200", "queue"),
        (0.0, REST, "hung", "hung"),
        (0.0, REST, "500", "500"),
        (0.0, REST, "200, broken off", "broken off"),
    ],
)
def test_what_grew_or_was_left_is_named(
    per_hour: float, after: Sample, outcome: str, wrong: str
) -> None:
    (found,) = find_growth(
        compute_result(samples(per_hour), calls(outcome=outcome), 1_000.0, after), max_growth_mb=30
    )
    assert wrong in found


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    plots = pytest.importorskip("bench.plots")
    plots.save(
        plots.draw_soak(compute_result(samples(1.0), calls(), 1_000.0, REST)), tmp_path / "soak.png"
    )
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.fault(42)
def test_three_minutes_leave_the_service_as_it_was() -> None:
    result = asyncio.run(run(argparse.Namespace(url=None, pid=None, minutes=3, per_s=2)))
    assert find_growth(result, max_growth_mb=40) == [], {**result, "samples": "..."}
    assert result["lost"] == 0
    assert result["settled"]
    assert result["one_good_request"]
