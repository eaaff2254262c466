"""A corpus of a few sentences, spoken and encoded once by the commands themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training import corpus, encode, speech

TEXT = """The weather is cold today. Please take a coat with you! Where did you put my keys?
I would like a cup of tea. The train leaves at noon. We have plenty of time; do not worry.
She reads a book every week. Nobody knows where the cat went. They sing in the evening. """


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after corpus, speech and encode: two sentences held out, eight to train on."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("voice")
    text = folder / "prose.txt"
    text.write_text(TEXT)
    corpus.main(["--data", str(folder), "--text", str(text), "--held", "2"])
    speech.main(["--data", str(folder)])
    encode.main(["--data", str(folder)])
    return folder
