"""Write the measured quality as tables to `training/README.md`: `python -m training.measures`.

The tables replace the text between `<!-- measures -->` and `<!-- /measures -->`. If a file has no
such lines, they are only printed.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from app.engine.embedded.voices import VOICES

ROOT = Path(__file__).parents[1]
README = ROOT / "training" / "README.md"
RESULT = ROOT / "bench" / "results" / "voice-quality.json"
BLOCK = re.compile(r"(?<=<!-- measures -->\n).*?(?=<!-- /measures -->)", re.DOTALL)
SPEAKERS = {
    "teacher": "the teacher",
    "codec": "codec, of the teacher's speech",
    "lm-greedy": "language model, greedy",
    "lm": "language model, at {temperature}",
    "nar": "one-pass model",
}
NETWORKS = {
    "encoder": "codec, encoder",
    "decoder": "codec, decoder",
    "language_model": "language model",
    "token_model": "one-pass model",
}
SPEEDS = {
    "encoder_rtf": "codec, encoder: real-time factor",
    "decoder_rtf": "codec, decoder, whole sentences: real-time factor",
    "decoder_streamed_rtf": "codec, decoder, in a stream's windows: real-time factor",
    "nar_rtf": "one-pass model: real-time factor",
}

Numbers = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of `training.evaluate`."""

    parts: Mapping[str, Mapping[str, object]]

    def section(self, *names: str) -> Numbers:
        """Return the numbers at a path; empty if not measured."""
        found: object = self.parts
        for name in names:
            found = cast(Mapping[str, object], found).get(name, {})
        return cast(Numbers, found)


def read_result(path: Path = RESULT) -> Result:
    """Read a result file."""
    return Result(json.loads(path.read_text(encoding="utf-8")))


def tables(result: Result) -> str:
    """Return all tables, with a blank line before each and after the last."""
    made = (speech_table, ends_table, speed_table, weights_table)
    return "".join(f"\n{text}" for table in made if (text := table(result))) + "\n"


def speech_table(result: Result) -> str:
    """Format word error rates and quality scores of each speaker."""
    columns = (
        "speaker | voice | misheard, everyday | misheard, held out | DNSMOS | PESQ | STOI"
        " | as long as the teacher"
    )
    rows = [
        _speech_row(result, name, voice)
        for name in SPEAKERS
        for voice in VOICES
        if result.section(name, voice)
    ]
    return format_table(columns, rows)


def _speech_row(result: Result, name: str, voice: str) -> list[str]:
    found = result.section(name, voice)
    return [
        SPEAKERS[name].format(**result.section(name)),
        voice,
        _misheard(found),
        _misheard(result.section(name, voice, "dictionary")),
        _number(found, "dnsmos", 2),
        _number(found, "pesq_wb", 2),
        _number(found, "stoi", 3),
        f"{found['length_within_30_percent']:.1%} of {found['pieces']}"
        if "pieces" in found
        else "",
    ]


def _misheard(found: Numbers) -> str:
    return (
        f"{found['word_error_rate']:.1%} of words in {found['sentences']}"
        if "word_error_rate" in found
        else ""
    )


def _number(found: Numbers, name: str, digits: int) -> str:
    return f"{found[name]:.{digits}f}" if name in found else ""


def ends_table(result: Result) -> str:
    """Format the language model's run-ons."""
    rows = [
        [
            SPEAKERS[name].format(**found),
            f"{found['pieces']:,}",
            str(found["run_on"]),
            f"{found['length_within_30_percent']:.1%}",
        ]
        for name in ("lm-greedy", "lm")
        if (found := result.section("run_ons", name))
    ]
    return format_table(
        "sentences never trained on | spoken | never ended | within 30 % of the teacher's length",
        rows,
    )


def speed_table(result: Result) -> str:
    """Format CPU times on one thread, and the effect of streaming."""
    speed, streaming = result.section("speed"), result.section("streaming")
    rows = [[label, f"{speed[name]:g}"] for name, label in SPEEDS.items() if name in speed]
    if streaming:
        worst, count = streaming["db_min"], streaming["streams"]
        rows.append(
            [f"streamed against decoded at once, the worst of {count} streams", f"{worst:.0f} dB"]
        )
    return format_table("one thread, CPU time | measured", rows)


def weights_table(result: Result) -> str:
    """Format sizes and checksums."""
    files = {label: result.section("weights", name) for name, label in NETWORKS.items()}
    rows = [
        [
            label,
            f"`{file['file']}`",
            f"{file['parameters'] / 1e6:.2f} M",
            f"{file['bytes'] / 1e6:.1f} MB",
            f"`{str(file['sha256'])[:12]}`",
        ]
        for label, file in files.items()
        if file
    ]
    return format_table("network | file | parameters | size | SHA-256 begins", rows)


def format_table(columns: str, rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table; empty without rows."""
    lines = [f"| {' | '.join(row)} |".replace("  ", " ") for row in rows]
    return (
        "\n".join([f"| {columns} |", "|" + "---|" * (columns.count("|") + 1), *lines, ""])
        if lines
        else ""
    )


def main(arguments: list[str] | None = None) -> None:
    """Print the tables, and write them to the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    made = tables(read_result(options.result))
    print(made, flush=True)
    text = options.readme.read_text(encoding="utf-8")
    options.readme.write_text(BLOCK.sub(lambda _: made, text), encoding="utf-8")


if __name__ == "__main__":
    main()
