"""The embedded default is intelligible: an offline recogniser transcribes its speech."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.child_service import ROOT, running_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_everyday_sentences_are_understood(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="make setup-judge installs the recogniser")
    from bench.judge import Judge, word_error_rate

    texts = (ROOT / "bench" / "sentences.txt").read_text(encoding="utf-8").splitlines()[::2]
    with running_in(tmp_path) as service:
        judge = Judge()
        heard = [judge.transcribe(spoken(service.url, text), 24_000) for text in texts]
    assert len(texts) == 50
    assert word_error_rate(texts, heard) <= 0.03


def spoken(url: str, text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The service's samples for a text."""
    body = {"input": text, "response_format": "pcm"}
    answer = httpx.post(f"{url}/v1/audio/speech", json=body, trust_env=False, timeout=60)
    answer.raise_for_status()
    return (np.frombuffer(answer.content, "<i2") / 32767).astype(np.float32)
