"""What the service has counted: in this process, or as it is exported."""

from __future__ import annotations

from prometheus_client import REGISTRY


def counted(name: str, **labels: str) -> float:
    """A metric of this process; 0 where there is none yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def exported(page: str, row: str) -> float:
    """A metric on the page of them all, by its name and labels as they stand there; 0 without such labels."""
    assert f"# TYPE {row.partition('{')[0]} " in page
    return next(
        (float(line.split()[-1]) for line in page.splitlines() if line.startswith(f"{row} ")), 0.0
    )
