"""A real vLLM that serves a checkpoint with a known answer."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.vllm.server import vllm_server

COMPOSE = Path(__file__).parents[2] / "vllm.yaml"
OWN = (
    "--model",
    "--revision",
    "--served-model-name",
    "--port",
)  # what a test's server has its own of


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """A running server, and what its model says.

    A prompt that ends in `<|speech_start|>` is answered with `codes` and the end token; one that
    ends in `<|loop_start|>` with `loop`, over and over. Everything before that token is ignored.
    """

    url: str
    model: str
    codes: list[int]
    loop: list[int]


def compose_options() -> list[str]:
    """Return the options of vLLM in vllm.yaml, except the model and its address."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text())
    options: list[str] = []
    name = ""
    for argument in yaml.safe_load(text)["services"]["vllm"]["command"]:
        name = argument if argument.startswith("--") else name
        options += [] if name in OWN else [argument]
    return options


@pytest.fixture(scope="session")
def known_answer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnownAnswer]:
    """The server, started once for all tests."""
    from tests.vllm.checkpoint import answer, write_checkpoint

    codes = random.Random(7).sample(range(1024), 130)
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, answer(codes[:120], codes[120:]))
    options = (
        *compose_options(),
        "--dtype",
        "bfloat16",
        "--max-model-len",
        "2048",
        "--max-num-seqs",
        "64",
    )
    with vllm_server(folder, "tiny", tmp_path_factory.mktemp("vllm") / "log.txt", *options) as url:
        yield KnownAnswer(url, "tiny", codes[:120], codes[120:])
