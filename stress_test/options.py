"""The command line and the environment of a stress test."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stress_test import packed
from stress_test.load import TEXT, Load
from stress_test.sound import EXACT_FORMATS, FORMATS

DESCRIPTION = """\
Puts a load on a speech server and reports what its listeners hear. Exits 1 if a request failed.

Without options: WARMUP_COUNT requests one by one, then CONCURRENCY at once. A closed loop (--requests) keeps so
many in flight; an open one (--rate) sends Poisson arrivals whether or not the server keeps up, and counts each
request's times from when it was due. Percentiles interpolate linearly between the two nearest values."""
ENVIRONMENT = """\
environment: CONCURRENCY (50), WARMUP_COUNT (3), LOCAL_TTS_API (http://localhost:9091), and STRESS_API_KEY or
API_KEY, which is sent as a bearer token. STRESS_JSON and STRESS_HTML name result files as --json and --html do.

stress_test compare A.json B.json sets two results side by side."""


@dataclass(frozen=True, slots=True)
class Options:
    """A load, and where its results go beside the terminal."""

    load: Load
    json: Path | None
    html: Path | None


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The options, with the environment's values as defaults."""
    options = argparse.ArgumentParser(
        "stress_test", description=DESCRIPTION, epilog=ENVIRONMENT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--url", default=environment.get("LOCAL_TTS_API") or "http://localhost:9091")
    _add_load(options, environment)
    _add_speech(options)
    options.add_argument("--json", type=Path, default=_path(environment, "STRESS_JSON"), help="write every figure here")
    options.add_argument("--html", type=Path, default=_path(environment, "STRESS_HTML"), help="write a page with plots")
    return options


def _add_load(options: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    concurrency = environment.get("CONCURRENCY") or "50"
    options.add_argument("--concurrency", type=_count, default=concurrency, help="requests in flight of a closed loop")
    options.add_argument("--requests", type=_count, help="of a closed loop; CONCURRENCY unless given")
    options.add_argument(
        "--ramp", type=_amount, default=0.0, metavar="S", help="let the loop's places begin over so long"
    )
    options.add_argument("--rate", type=_amount, help="requests a second of an open loop")
    options.add_argument("--duration", type=_amount, metavar="S", help="how long requests are sent, in seconds")
    options.add_argument("--seed", type=int, default=1, help="of the arrivals")
    options.add_argument("--processes", type=_count, default=1, help="that share the load, when one is too slow")
    options.add_argument("--warmup", type=int, default=environment.get("WARMUP_COUNT") or "3")
    options.add_argument("--timeout", type=_amount, default=300.0, metavar="S", help="longest whole answer")


def _add_speech(options: argparse.ArgumentParser) -> None:
    options.add_argument("--sentences", type=Path, metavar="FILE", help="a text on each line, asked for in turn")
    options.add_argument("--voice")
    options.add_argument("--format", choices=FORMATS, default="wav", help="all but wav and pcm need PyAV")
    options.add_argument("--speed", type=_amount, default=1.0)
    options.add_argument("--whole", action="store_true", help='"stream": false: each answer as one body')


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Options of a command line; ends the program with a message and 2 where they do not fit together."""
    options = parser(environment)
    given = options.parse_args(arguments)
    if given.rate and not given.duration:
        options.error("--rate needs --duration")
    if given.rate and given.requests:
        options.error("--rate and --requests are two kinds of load")
    if given.format not in EXACT_FORMATS and not packed.available():
        options.error(f"{given.format} needs PyAV: pip install av")
    for file in (given.json, given.html):
        if file and not file.parent.is_dir():
            options.error(f"{file}: there is no such folder")
    try:
        texts = _texts(given.sentences)
    except (OSError, UnicodeDecodeError) as exc:
        options.error(f"{given.sentences}: {exc}")
    if not texts:
        options.error(f"{given.sentences}: no sentences")
    return Options(_load(given, texts, environment), given.json, given.html)


def _load(given: argparse.Namespace, texts: tuple[str, ...], environment: Mapping[str, str]) -> Load:
    requests = given.requests or (None if given.duration else given.concurrency)
    return Load(
        url=given.url,
        texts=texts,
        voice=given.voice,
        response_format=given.format,
        speed=given.speed,
        stream=not given.whole,
        concurrency=given.concurrency,
        requests=requests,
        rate=given.rate,
        duration_s=given.duration,
        ramp_s=given.ramp,
        warmup_count=given.warmup,
        timeout_s=given.timeout,
        seed=given.seed,
        processes=given.processes,
        api_key=environment.get("STRESS_API_KEY") or environment.get("API_KEY") or None,
    )


def _texts(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return (TEXT,)
    return tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _amount(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value
