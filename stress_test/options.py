"""The command line and the environment of a stress test."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

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

stress_test compare A.json B.json sets two results side by side. stress_test capacity raises the load until
listeners notice; stress_test capacity --help says how."""


@dataclass(frozen=True, slots=True)
class Options:
    """A load, and where its results go beside the terminal."""

    load: Load
    json: Path | None
    html: Path | None


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The options, with the environment's values as defaults."""
    options = argparse.ArgumentParser(
        "stress_test",
        description=DESCRIPTION,
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_load(options, environment)
    add_common(options, environment)
    options.add_argument(
        "--json",
        type=Path,
        default=_path(environment, "STRESS_JSON"),
        help="write every figure here",
    )
    options.add_argument(
        "--html",
        type=Path,
        default=_path(environment, "STRESS_HTML"),
        help="write a page with plots",
    )
    return options


def _add_load(options: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    concurrency = environment.get("CONCURRENCY") or "50"
    options.add_argument(
        "--concurrency", type=count, default=concurrency, help="requests in flight of a closed loop"
    )
    options.add_argument(
        "--requests", type=count, help="of a closed loop; CONCURRENCY unless given"
    )
    options.add_argument(
        "--ramp",
        type=amount,
        default=0.0,
        metavar="S",
        help="let the loop's places begin over so long",
    )
    options.add_argument(
        "--listen",
        action="store_true",
        help="ask again when an answer would have been heard, not when it has come",
    )
    options.add_argument("--rate", type=amount, help="requests a second of an open loop")
    options.add_argument(
        "--duration", type=amount, metavar="S", help="how long requests are sent, in seconds"
    )
    options.add_argument("--seed", type=int, default=1, help="of the arrivals")
    options.add_argument(
        "--whole", action="store_true", help='"stream": false: each answer as one body'
    )


def add_common(options: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """What loads of all kinds have: the server, its speech, and the processes that ask for it."""
    options.add_argument(
        "--url", type=url, default=environment.get("LOCAL_TTS_API") or "http://localhost:9091"
    )
    options.add_argument(
        "--processes", type=count, default=1, help="that share the load, when one is too slow"
    )
    options.add_argument("--warmup", type=int, default=environment.get("WARMUP_COUNT") or "3")
    options.add_argument(
        "--timeout", type=amount, default=300.0, metavar="S", help="longest whole answer"
    )
    options.add_argument(
        "--sentences", type=Path, metavar="FILE", help="a text on each line, asked for in turn"
    )
    options.add_argument("--voice")
    options.add_argument(
        "--format", choices=FORMATS, default="wav", help="all but wav and pcm need PyAV"
    )
    options.add_argument("--speed", type=amount, default=1.0)


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Options of a command line; ends the program with a message and 2 where they do not fit together."""
    options = parser(environment)
    given = options.parse_args(arguments)
    if given.rate and not given.duration:
        options.error("--rate needs --duration")
    if given.rate and given.listen:
        options.error("--listen is for a closed loop, --rate makes an open one")
    if given.rate and given.requests:
        options.error("--rate and --requests are two kinds of load")
    check_files(options, given.json, given.html)
    load = replace(
        common_load(options, given, environment),
        stream=not given.whole,
        concurrency=given.concurrency,
        listening=given.listen,
        requests=given.requests or (None if given.duration else given.concurrency),
        rate=given.rate,
        ramp_s=given.ramp,
        seed=given.seed,
    )
    return Options(load, given.json, given.html)


def check_files(options: argparse.ArgumentParser, *files: Path | None) -> None:
    """End the program where a result could not be written."""
    for file in files:
        if file and not file.parent.is_dir():
            options.error(f"{file}: there is no such folder")


def common_load(
    options: argparse.ArgumentParser, given: argparse.Namespace, environment: Mapping[str, str]
) -> Load:
    """What `add_common` and `--duration` say of a load; ends the program where it cannot be asked for."""
    if given.format not in EXACT_FORMATS and not packed.available():
        options.error(f"{given.format} needs PyAV: pip install av")
    try:
        texts = _texts(given.sentences)
    except (OSError, UnicodeDecodeError) as exc:
        options.error(f"{given.sentences}: {exc}")
    if not texts:
        options.error(f"{given.sentences}: no sentences")
    return Load(
        url=given.url,
        texts=texts,
        voice=given.voice,
        response_format=given.format,
        speed=given.speed,
        duration_s=given.duration,
        warmup_count=given.warmup,
        timeout_s=given.timeout,
        processes=given.processes,
        api_key=environment.get("STRESS_API_KEY") or environment.get("API_KEY") or None,
    )


def _texts(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return (TEXT,)
    return tuple(
        line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()
    )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None


def url(text: str) -> str:
    """One of HTTP, with a host; raises ArgumentTypeError, ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise argparse.ArgumentTypeError(f"{text} is no URL: http://localhost:9091, for one")
    return text


def count(text: str) -> int:
    """At least one; raises ValueError."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def amount(text: str) -> float:
    """More than nothing, and not endless; raises ValueError."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def share(text: str) -> float:
    """From 0 to 1; raises ValueError."""
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value
