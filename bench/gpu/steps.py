"""Steps of a part of the benchmark. The result of each is printed as one line of JSON."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable

from app.codec import DeviceLost

Row = dict[str, object]


class Steps:
    """Runs steps within a time limit; a step that fails is printed and does not end the part."""

    def __init__(self, seconds: float) -> None:
        self._end_s = time.monotonic() + seconds

    def run(self, name: str, measure: Callable[[], Row], *, needs_s: float = 5.0) -> bool:
        """Run a step unless less than `needs_s` is left; return True if it succeeded.

        It has failed if it raises or returns `ok` false.
        """
        left_s = self._end_s - time.monotonic()
        if left_s < needs_s:
            return self._print(name, {"skipped": f"{left_s:.0f} s left"})
        started_s = time.monotonic()
        try:
            row = measure()
        except (Exception, DeviceLost) as exc:
            row = failure(exc)
        return self._print(name, {"took_s": round(time.monotonic() - started_s, 2), **row})

    def skip(self, name: str, reason: str) -> None:
        """Print a step that cannot run here."""
        self._print(name, {"skipped": reason})

    @staticmethod
    def _print(name: str, row: Row) -> bool:
        print(json.dumps({"step": name, **row}), flush=True)
        return row.get("ok") is not False and "skipped" not in row


def failure(exc: BaseException) -> Row:
    """Return the fields of a step that raised, with the innermost source lines."""
    frames = traceback.extract_tb(exc.__traceback__)[-4:]
    return {
        "ok": False,
        "error": f"{type(exc).__name__}: {str(exc)[:300]}",
        "at": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames],
    }
