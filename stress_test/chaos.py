"""Fault test with faulty clients and a failing engine: `python -m stress_test.chaos`.

Clients send bad requests, disconnect or read slowly. The test starts a service with a fake engine
that fails at random and restarts. With --url it tests a running service and leaves its engine
alone. At the end the service must have released everything, and one good request must succeed.
The counts are printed as JSON. The exit status is 1 if a request hung or was lost, the service
answered 500, or resources were not released.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from stress_test.fake_engine import PROFILE, FakeEngine
from stress_test.machine import describe
from stress_test.random_client import ClientResult
from stress_test.random_clients import (
    RandomClients,
    count_faulty,
    good_request_succeeds,
    outcomes,
    statuses,
)
from stress_test.service import Service, started

SHARES = {
    "stream": 35.0,
    "whole": 10.0,
    "bad": 30.0,
    "leaves early": 6.0,
    "leaves midway": 6.0,
    "resets": 6.0,
    "slow": 4.0,
    "half a request": 3.0,
}
RESTART_INTERVAL_S = 8.0  # between two outages of the engine
OUTAGE_S = 1.5
PACKAGES = ("torch", "fastapi", "uvicorn")


async def restart_regularly(engine: FakeEngine) -> None:
    """Restart the engine at intervals until cancelled."""
    while True:
        await asyncio.sleep(RESTART_INTERVAL_S)
        await engine.restart(OUTAGE_S)


async def inject_faults(
    service: Service, engine: FakeEngine | None, seconds: float, per_s: float
) -> dict[str, object]:
    """Run all faults at once, let the service recover, and return the counts."""
    results: list[ClientResult] = []
    started_s = time.monotonic()
    restart_task = asyncio.create_task(restart_regularly(engine)) if engine else None
    try:
        request_count = await RandomClients(service.url, per_s, SHARES).run(seconds, results)
    finally:
        if restart_task:
            restart_task.cancel()
            await asyncio.gather(restart_task, return_exceptions=True)
    if engine:
        await engine.ensure_listening()
        engine.failing = 0.0
    await service.until_ready()
    return {
        "seconds": round(time.monotonic() - started_s, 1),
        "requests": request_count,
        "faults_of_callers": count_faulty(results),
        "faults_of_the_engine": engine.failures if engine else None,
        "restarts_of_the_engine": engine.restarts if engine else None,
        "answers_by_status": statuses(results),
        "outcomes": outcomes(results),
        "hung": sum(result.outcome == "hung" for result in results),
        "lost": request_count - len(results),
        "nothing_left_over": await service.settled(),
        "one_good_request": await good_request_succeeds(service.url),
    }


def failed_checks(result: dict[str, object]) -> list[str]:
    """Return the checks that failed."""
    answers, outcomes_by_kind = result["answers_by_status"], result["outcomes"]
    assert isinstance(answers, dict)
    assert isinstance(outcomes_by_kind, dict)
    wrong = [name for name in ("hung", "lost") if result[name]]
    wrong += [name for name in ("nothing_left_over", "one_good_request") if not result[name]]
    wrong += ["500: the service itself failed"] if "500" in answers else []
    unreachable = {"connection lost", "no answer", "refused connection"}
    found = {outcome for counts in outcomes_by_kind.values() for outcome in counts}
    return wrong + sorted(unreachable & found)


async def run(arguments: argparse.Namespace) -> dict[str, object]:
    """Test the service at `--url`, or start one with a fake engine."""
    if arguments.url:
        return await inject_faults(Service(arguments.url), None, arguments.seconds, arguments.per_s)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        profile = folder / "fake.toml"
        profile.write_text(PROFILE, encoding="utf-8")
        engine = await stack.enter_async_context(FakeEngine())
        limits = {
            "FIRST_TOKEN_TIMEOUT_S": "5",
            "TOKEN_GAP_TIMEOUT_S": "2",
            "CLIENT_WRITE_TIMEOUT_S": "5",
        }
        service = await stack.enter_async_context(
            started(
                ENGINE_URLS=engine.url, MODEL_PROFILE=str(profile), DECODE_WORKERS="1", **limits
            )
        )
        return await inject_faults(service, engine, arguments.seconds, arguments.per_s)


def main() -> int:
    """Run the command line and return the exit status of the process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--per-s", type=float, default=10.0, help="requests a second")
    parser.add_argument("--url", help="URL of a running service")
    parser.add_argument("--out", type=Path, help="write the JSON to this file")
    arguments = parser.parse_args()
    result = asyncio.run(run(arguments))
    result["wrong"] = wrong = failed_checks(result)
    text = json.dumps({"machine": describe(PACKAGES), **result}, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
