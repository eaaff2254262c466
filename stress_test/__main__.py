"""`python -m stress_test`: environment CONCURRENCY, WARMUP_COUNT and LOCAL_TTS_API; exits 1 if a request failed."""

from __future__ import annotations

import asyncio
import os
import sys

from stress_test.client import Failed, load
from stress_test.report import report


def main() -> int:
    """Run the load and print its report; the process's exit status."""
    concurrency = int(os.environ.get("CONCURRENCY", "50"))
    warmup_count = int(os.environ.get("WARMUP_COUNT", "3"))
    base_url = os.environ.get("LOCAL_TTS_API", "http://localhost:9091")
    print(f"{warmup_count} warm-up requests, then {concurrency} at once to {base_url}", file=sys.stderr)
    outcomes = asyncio.run(load(base_url, concurrency=concurrency, warmup_count=warmup_count))
    print(report(outcomes))
    return int(not outcomes or any(isinstance(outcome, Failed) for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
