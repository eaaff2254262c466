from __future__ import annotations

import json
from pathlib import Path

from training.measures import BLOCK, README, RESULT, main, read_result, tables

SAMPLE = {
    "machine": {},
    "weights": {
        "decoder": {
            "file": "d.safetensors",
            "bytes": 3_856_148,
            "parameters": 1_900_000,
            "sha256": "ab" * 32,
        }
    },
    "teacher": {
        "lark": {
            "word_error_rate": 0.0017,
            "sentences": 100,
            "dnsmos": 3.374,
            "dictionary": {"word_error_rate": 0.064, "sentences": 60},
        }
    },
    "codec": {
        "heron": {
            "word_error_rate": 0.01,
            "sentences": 50,
            "dnsmos": 3.2,
            "pesq_wb": 2.204,
            "stoi": 0.9371,
        }
    },
    "lm": {"temperature": 0.6, "lark": {"pieces": 100, "length_within_30_percent": 0.99}},
    "speed": {"threads": 1, "nar_rtf": 0.005},
    "streaming": {"streams": 30, "db_min": 148.04, "db_median": 200.0},
    "run_ons": {
        "lm": {"temperature": 0.6, "pieces": 1000, "run_on": 2, "length_within_30_percent": 0.9958},
    },
}
TABLES = """
| speaker | voice | misheard, everyday | misheard, held out | DNSMOS | PESQ | STOI | \
as long as the teacher |
|---|---|---|---|---|---|---|---|
| the teacher | lark | 0.2% of words in 100 | 6.4% of words in 60 | 3.37 | | | |
| codec, of the teacher's speech | heron | 1.0% of words in 50 | | 3.20 | 2.20 | 0.937 | |
| language model, at 0.6 | lark | | | | | | 99.0% of 100 |

| sentences never trained on | spoken | never ended | within 30 % of the teacher's length |
|---|---|---|---|
| language model, at 0.6 | 1,000 | 2 | 99.6% |

| one thread, CPU time | measured |
|---|---|
| one-pass model: real-time factor | 0.005 |
| streamed against decoded at once, the worst of 30 streams | 148 dB |

| network | file | parameters | size | SHA-256 begins |
|---|---|---|---|---|
| codec, decoder | `d.safetensors` | 1.90 M | 3.9 MB | `abababababab` |

"""


def test_the_tables_show_what_was_measured_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(SAMPLE))
    assert tables(read_result(path)) == TABLES


def test_the_tables_take_the_place_of_those_before(tmp_path: Path) -> None:
    result, readme = tmp_path / "result.json", tmp_path / "README.md"
    result.write_text(json.dumps(SAMPLE))
    readme.write_text("# Voice\n\n<!-- measures -->\nold\n<!-- /measures -->\nThe end.\n")
    for _ in range(2):
        main(["--result", str(result), "--readme", str(readme)])
        assert (
            readme.read_text()
            == f"# Voice\n\n<!-- measures -->\n{TABLES}<!-- /measures -->\nThe end.\n"
        )


def test_the_readme_says_what_was_measured() -> None:
    said = BLOCK.search(README.read_text(encoding="utf-8"))
    assert said
    wanted = tables(read_result()) if RESULT.exists() else ""
    assert said.group() == wanted, "python -m training.measures"
