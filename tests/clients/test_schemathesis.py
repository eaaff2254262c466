"""schemathesis reads the OpenAPI document and sends valid and invalid requests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.child_service import Running
from tests.clients.conftest import KEY
from tests.clients.environment import python_with
from tests.vllm.environment import CannotInstall

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

# A schema cannot say that a text must hold something to speak, in a language that the voice reads;
# and numbers and truth values may come as clients have them at hand (0, "1.5"), which the document
# does not say.
LEFT_OUT = "positive_data_acceptance,negative_data_rejection"


@pytest.mark.fault(35)
async def test_every_answer_is_as_the_document_says(service: Running, tmp_path: Path) -> None:
    """No 5xx, no undocumented status, body or content type, and no way past the key."""
    try:
        command = python_with("schemathesis").with_name("schemathesis")
    except CannotInstall as exc:
        pytest.skip(f"schemathesis cannot be installed: {exc}")
    process = await asyncio.create_subprocess_exec(
        *(
            str(command),
            "run",
            f"{service.url}/openapi.json",
            "--header",
            f"Authorization: Bearer {KEY}",
        ),
        *(
            "--checks",
            "all",
            "--exclude-checks",
            LEFT_OUT,
            "--max-examples",
            "40",
            "--seed",
            "1",
            "--no-shrink",
        ),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(240):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output.decode()[-5000:]
