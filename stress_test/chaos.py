"""Bad requests, callers that leave, slow readers and an engine that restarts: `python -m stress_test.chaos`.

It starts a service before a stand-in for an engine which fails now and then and is restarted (or takes a service:
--url, whose engine is left alone). At the end everything must have been let go, and one good request works. The
counts are JSON; the exit status is 1 where a request hung or was lost, the service itself failed (500), or something
was left over.
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

from stress_test.callers import Call
from stress_test.crowd import Crowd, faults, one_good, outcomes, statuses
from stress_test.machine import describe
from stress_test.service import Service, started
from stress_test.standin import PROFILE, StandinEngine

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
RESTART_EVERY_S, AWAY_S = 8.0, 1.5
PACKAGES = ("torch", "fastapi", "uvicorn")


async def restarts(engine: StandinEngine) -> None:
    """Restart it until cancelled."""
    while True:
        await asyncio.sleep(RESTART_EVERY_S)
        await engine.restart(AWAY_S)


async def storm(
    service: Service, engine: StandinEngine | None, seconds: float, per_s: float
) -> dict[str, object]:
    """Everything at once, then calm: what came of it."""
    calls: list[Call] = []
    begun_s = time.monotonic()
    restarting = asyncio.create_task(restarts(engine)) if engine else None
    try:
        begun = await Crowd(service.url, per_s, SHARES).come(seconds, calls)
    finally:
        if restarting:
            restarting.cancel()
            await asyncio.gather(restarting, return_exceptions=True)
    if engine:
        await engine.revive()
        engine.failing = 0.0
    await service.until_ready()
    return {
        "seconds": round(time.monotonic() - begun_s, 1),
        "requests": begun,
        "faults_of_callers": faults(calls),
        "faults_of_the_engine": engine.failures if engine else None,
        "restarts_of_the_engine": engine.restarts if engine else None,
        "answers_by_status": statuses(calls),
        "outcomes": outcomes(calls),
        "hung": sum(call.outcome == "hung" for call in calls),
        "lost": begun - len(calls),
        "nothing_left_over": await service.settled(),
        "one_good_request": await one_good(service.url),
    }


def wrong_of(result: dict[str, object]) -> list[str]:
    """What must not be."""
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
    """On a service of one's own, or on the one that is named."""
    if arguments.url:
        return await storm(Service(arguments.url), None, arguments.seconds, arguments.per_s)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        profile = folder / "standin.toml"
        profile.write_text(PROFILE, encoding="utf-8")
        engine = await stack.enter_async_context(StandinEngine())
        limits = {
            "FIRST_TOKEN_TIMEOUT_S": "5",
            "TOKEN_GAP_TIMEOUT_S": "2",
            "CLIENT_WRITE_TIMEOUT_S": "5",
        }
        service = await stack.enter_async_context(
            started(TTS_API=engine.url, MODEL_PROFILE=str(profile), DECODE_WORKERS="1", **limits)
        )
        return await storm(service, engine, arguments.seconds, arguments.per_s)


def main() -> int:
    """The command line; the process's exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--per-s", type=float, default=10.0, help="requests a second")
    parser.add_argument("--url", help="of a service that runs already")
    parser.add_argument("--out", type=Path, help="a file for the JSON")
    arguments = parser.parse_args()
    result = asyncio.run(run(arguments))
    result["wrong"] = wrong = wrong_of(result)
    text = json.dumps({"machine": describe(PACKAGES), **result}, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
