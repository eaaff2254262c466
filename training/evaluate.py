"""Measure the quality of the voices: `python -m training.evaluate`. Needs '.[judge,train]'.

The teacher, the codec with the teacher's speech, and the token models speak the sentences of
`bench/sentences.txt`, and in the first voice also held-out sentences from dictionaries. A speech
recogniser and DNSMOS rate all of them. `--only` selects some parts. A later run keeps the other
parts of the result, except those whose networks have changed. `python -m training.measures`
formats the result as tables.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch

from app.engine.embedded.phonemes import Phonemiser
from bench.machine import write_result
from training.export import PROFILE
from training.folder import add_folder
from training.run_ons import untrained_sentences
from training.speakers import phonemise_lines
from training.study import NETWORKS_OF_PART, PARTS, RUN_ONS, Part, Study, measure_part, possible
from training.teacher import phoneme_table
from training.weight_files import Weights, trained_weights

BENCH = Path(__file__).parents[1] / "bench"
RESULT = "voice-quality"
DICTIONARY_SENTENCES = 60

Facts = Mapping[str, Mapping[str, object]]  # facts about the weights file of each network


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_folder(parser)
    parser.add_argument("--trained", action="store_true", help="use the weights in the data folder")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument(
        "--run-ons",
        type=int,
        metavar="N",
        help="measure only run-ons, over N sentences that were never trained on",
    )
    parser.add_argument("--sentences", type=int, help="limit of everyday sentences")
    parser.add_argument(
        "--dictionary", type=int, default=DICTIONARY_SENTENCES, help="limit of held-out sentences"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=PROFILE.sampling.temperature,
        help="temperature of the part lm",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="sentences that are rated in parallel, each on one thread",
    )
    parser.add_argument(
        "--lengths-only", action="store_true", help="measure without recogniser and DNSMOS"
    )
    parser.add_argument("--print-only", action="store_true", help="do not write to bench/results")
    return parser.parse_args(arguments)


def build_study(options: argparse.Namespace, texts: Sequence[str]) -> Study:
    """Build the study that the options describe."""
    phonemiser, held = Phonemiser(phoneme_table()), options.data / "held.txt"
    dictionary: list[str] = (
        held.read_text().splitlines()[: options.dictionary] if held.exists() else []
    )
    return Study(
        weights=trained_weights(options.data) if options.trained else Weights(),
        everyday=phonemise_lines(phonemiser, texts),
        dictionary=phonemise_lines(phonemiser, dictionary),
        temperature=options.temperature,
        seed=options.seed,
        workers=options.workers,
        judge=not options.lengths_only,
    )


def merged(
    earlier: Mapping[str, object], facts: Facts, parts: Mapping[str, Part]
) -> dict[str, object]:
    """Merge new parts with the earlier parts whose networks are unchanged."""
    then = cast(Facts, earlier.get("weights", {}))
    changed = {network for network in {*then, *facts} if then.get(network) != facts.get(network)}
    same = {name for name, networks in NETWORKS_OF_PART.items() if changed.isdisjoint(networks)}
    unchanged = {name: part for name, part in earlier.items() if name in same}
    return {**unchanged, "weights": facts, **parts}


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write or print the result."""
    options = parse_options(arguments)
    torch.set_num_threads(1)
    names: Sequence[str] = options.only
    texts = (BENCH / "sentences.txt").read_text(encoding="utf-8").splitlines()[: options.sentences]
    if options.run_ons:
        names, texts = (RUN_ONS,), untrained_sentences(options.data, options.run_ons)
    study = build_study(options, texts)
    parts = {name: measure_part(name, study) for name in possible(names, study.weights)}
    if options.print_only:
        print(json.dumps(parts, indent=2, ensure_ascii=False), flush=True)
        return
    path = BENCH / "results" / f"{RESULT}.json"
    text = path.read_text(encoding="utf-8") if path.exists() else "{}"
    earlier: dict[str, object] = json.loads(text)
    write_result(RESULT, merged(earlier, study.weights.facts(), parts))


if __name__ == "__main__":
    main()
