"""Command line: `speech-server`, or `python -m app`.

A command imports its modules when it runs, because the imports take seconds.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from app import __version__

HELP = ("-h", "--help", "--version")
FORMATS = ("wav", "mp3", "flac", "opus", "aac", "pcm")
SUFFIXES = {f".{name}": name for name in FORMATS} | {".ogg": "opus"}


def main() -> None:
    """Run the command that the command line names."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["stress"]:  # parses its own options
        from stress_test.__main__ import main as stress

        sys.exit(stress(arguments[1:]))
    parsed = parse(arguments)
    exit_at_signals(0 if parsed.run is _serve else None)
    parsed.run(parsed)


def exit_at_signals(status: int | None) -> None:
    """Exit at SIGTERM and SIGINT until the command installs its own handlers.

    Without this, process 1 of a container ignores SIGTERM while it imports and loads. None is the
    status of a shell: 128 and the number of the signal.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _: os._exit(128 + number if status is None else status))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line without `stress`; exit with status 2 and a message if it is invalid.

    Options without a command are those of `serve`.
    """
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in HELP):
        arguments = ["serve", *arguments]
    return _parser().parse_args(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "speech-server",
        description="Text-to-speech server. Without a command, it serves.",
        epilog="Settings are environment variables or lines of the file .env.",
    )
    parser.add_argument("--version", action="version", version=f"speech-server {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="run the server")
    serve.add_argument("--host", help="address to listen on (default: the setting HOST)")
    serve.add_argument("--port", type=_port, help="port to listen on (default: the setting PORT)")
    serve.set_defaults(run=_serve)

    say = commands.add_parser("say", help="speak a text, without a server")
    say.add_argument(
        "text", nargs="*", help="text to speak; standard input if it is - or not given"
    )
    say.add_argument(
        "-o",
        "--output",
        type=_audio_file,
        metavar="FILE",
        help="write a file instead of playing the audio; - is standard output. The suffix gives "
        f"the format: {' '.join(SUFFIXES)}",
    )
    say.add_argument("--format", choices=FORMATS, help="format of a FILE without suffix, or of -")
    say.add_argument("--voice", help="name of a voice (default: that of the settings)")
    say.add_argument("--speed", type=float, help="speed of the speech, from 0.25 to 4")
    say.set_defaults(run=_say, error=say.error)

    prefetch = commands.add_parser("prefetch", help="download the weights of the codec")
    prefetch.set_defaults(run=_prefetch)

    replay = commands.add_parser("replay", help="decode a recorded request again")
    replay.add_argument("recording", metavar="FILE", help="file of the folder REPLAY_FOLDER")
    replay.add_argument("output", metavar="OUT.wav", help="audio file to write")
    replay.set_defaults(run=_replay)

    commands.add_parser("stress", help="run a load test; see speech-server stress --help")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return number


def _audio_file(text: str) -> str:
    suffix = Path(text).suffix.lower()
    if suffix and suffix not in SUFFIXES:
        known = " ".join(SUFFIXES)
        raise argparse.ArgumentTypeError(f"{text}: unknown suffix {suffix}; known are {known}")
    return text


def _serve(parsed: argparse.Namespace) -> None:
    from app.commands.serve import serve

    serve(parsed.host, parsed.port)


def _say(parsed: argparse.Namespace) -> None:
    text = " ".join(parsed.text)
    if not text and sys.stdin.isatty():
        parsed.error("no text: name it, or pipe it into the command")
    if parsed.format and parsed.output is None:
        parsed.error("--format needs --output")
    suffix = SUFFIXES.get(Path(parsed.output or "").suffix.lower())
    if suffix and parsed.format not in (None, suffix):
        parsed.error(f"--format {parsed.format} contradicts the suffix of {parsed.output}")

    from app.commands.say import say

    request = {"voice": parsed.voice, "speed": parsed.speed}
    say(text, parsed.output, parsed.format or suffix or "wav", request)


def _prefetch(_: argparse.Namespace) -> None:
    from app.prefetch import main as prefetch

    prefetch()


def _replay(parsed: argparse.Namespace) -> None:
    from app.replay.cli import main as replay

    replay([parsed.recording, parsed.output])


if __name__ == "__main__":
    main()
