"""The protocol of a client's script: JSON objects, one a line, on its input and its output."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable


def converse(answer: Callable[[dict[str, str]], Awaitable[dict[str, object]]]) -> None:
    """Answer one line after the other until the input ends; output of libraries goes to the log."""
    with os.fdopen(os.dup(1), "w") as said:
        os.dup2(2, 1)

        async def each() -> None:
            while line := await asyncio.to_thread(sys.stdin.readline):
                print(json.dumps(await answer(json.loads(line))), file=said, flush=True)

        asyncio.run(each())
