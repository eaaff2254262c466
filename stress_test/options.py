"""Command line and environment variables of a stress test."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from stress_test import compressed
from stress_test.load import TEXT, Load
from stress_test.sound import EXACT_FORMATS, FORMATS

DESCRIPTION = """\
Runs a load against a speech server and reports latency and playback. Exits 1 if a request failed.

Without options it sends WARMUP_COUNT requests one by one, then CONCURRENCY requests at once. A
closed loop (--requests) keeps CONCURRENCY requests in flight. An open loop (--rate) sends Poisson
arrivals whether or not the server keeps up, and measures each request from its due time.
Percentiles interpolate linearly between the two nearest values."""
ENVIRONMENT = """\
environment: CONCURRENCY (50), WARMUP_COUNT (3), LOCAL_TTS_API (http://localhost:9091).
STRESS_API_KEY or API_KEY is sent as a bearer token. STRESS_JSON and STRESS_HTML name result files,
like --json and --html.

stress_test compare A.json B.json prints two results side by side. stress_test capacity searches
the number of listeners that the server sustains; see stress_test capacity --help."""


@dataclass(frozen=True, slots=True)
class Options:
    """A load and its result files."""

    load: Load
    json: Path | None
    html: Path | None


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """Build the parser; environment variables are the defaults."""
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
        help="write all figures and requests to this JSON file",
    )
    options.add_argument(
        "--html",
        type=Path,
        default=_path(environment, "STRESS_HTML"),
        help="write an HTML page with plots to this file",
    )
    return options


def _add_load(options: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    concurrency = environment.get("CONCURRENCY") or "50"
    options.add_argument(
        "--concurrency", type=count, default=concurrency, help="requests in flight in a closed loop"
    )
    options.add_argument(
        "--requests", type=count, help="requests of a closed loop; default: CONCURRENCY"
    )
    options.add_argument(
        "--ramp",
        type=positive_number,
        default=0.0,
        metavar="S",
        help="start the clients of a closed loop evenly within S seconds",
    )
    options.add_argument(
        "--listen",
        action="store_true",
        help="send the next request when the answer has been played, not when it was received",
    )
    options.add_argument("--rate", type=positive_number, help="requests per second of an open loop")
    options.add_argument(
        "--duration", type=positive_number, metavar="S", help="send requests for S seconds"
    )
    options.add_argument("--seed", type=int, default=1, help="seed of the arrival times")
    options.add_argument(
        "--whole",
        action="store_true",
        help='send "stream": false and receive each answer as one body',
    )


def add_common(options: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Add the options of all loads: server, text, format and number of processes."""
    options.add_argument(
        "--url",
        type=url,
        default=environment.get("LOCAL_TTS_API") or "http://localhost:9091",
        help="base URL of the server",
    )
    options.add_argument(
        "--processes",
        type=count,
        default=1,
        help="processes that share the load; more if one is too slow",
    )
    options.add_argument(
        "--warmup",
        type=int,
        default=environment.get("WARMUP_COUNT") or "3",
        help="number of warm-up requests, sent one by one",
    )
    options.add_argument(
        "--timeout",
        type=positive_number,
        default=300.0,
        metavar="S",
        help="time limit of a request in seconds",
    )
    options.add_argument(
        "--sentences", type=Path, metavar="FILE", help="file with one text per line, sent in turn"
    )
    options.add_argument("--voice", help="voice of the requests")
    options.add_argument(
        "--format",
        choices=FORMATS,
        default="wav",
        help="audio format; all but wav and pcm need PyAV",
    )
    options.add_argument("--speed", type=positive_number, default=1.0, help="speed of the requests")


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Parse a command line; exits with status 2 and a message if options contradict."""
    options = parser(environment)
    parsed = options.parse_args(arguments)
    if parsed.rate and not parsed.duration:
        options.error("--rate needs --duration")
    if parsed.rate and parsed.listen:
        options.error("--listen needs a closed loop; --rate makes an open loop")
    if parsed.rate and parsed.requests:
        options.error("--rate (open loop) and --requests (closed loop) exclude each other")
    check_files(options, parsed.json, parsed.html)
    load = replace(
        common_load(options, parsed, environment),
        stream=not parsed.whole,
        concurrency=parsed.concurrency,
        listening=parsed.listen,
        requests=parsed.requests or (None if parsed.duration else parsed.concurrency),
        rate=parsed.rate,
        ramp_s=parsed.ramp,
        seed=parsed.seed,
    )
    return Options(load, parsed.json, parsed.html)


def check_files(options: argparse.ArgumentParser, *files: Path | None) -> None:
    """Exit with a message if a result file could not be written."""
    for file in files:
        if file and not file.parent.is_dir():
            options.error(f"{file}: its folder does not exist")


def common_load(
    options: argparse.ArgumentParser, parsed: argparse.Namespace, environment: Mapping[str, str]
) -> Load:
    """Build the load from the options of `add_common` and `--duration`; exits if it cannot run."""
    if parsed.format not in EXACT_FORMATS and not compressed.available():
        options.error(f"{parsed.format} needs PyAV: pip install av")
    try:
        texts = _texts(parsed.sentences)
    except (OSError, UnicodeDecodeError) as exc:
        options.error(f"{parsed.sentences}: {exc}")
    if not texts:
        options.error(f"{parsed.sentences}: no sentences")
    return Load(
        url=parsed.url,
        texts=texts,
        voice=parsed.voice,
        response_format=parsed.format,
        speed=parsed.speed,
        duration_s=parsed.duration,
        warmup_count=parsed.warmup,
        timeout_s=parsed.timeout,
        processes=parsed.processes,
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
    """Check an HTTP URL with a host; raises ArgumentTypeError, ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise argparse.ArgumentTypeError(f"{text} is not an HTTP URL such as http://localhost:9091")
    return text


def count(text: str) -> int:
    """Parse an integer of at least 1; raises ValueError."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def positive_number(text: str) -> float:
    """Parse a positive finite number; raises ValueError."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def fraction(text: str) -> float:
    """Parse a number from 0 to 1; raises ValueError."""
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value
