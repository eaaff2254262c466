"""Values of metrics: of this process, or as exported."""

from __future__ import annotations

from prometheus_client import REGISTRY


def counted(name: str, **labels: str) -> float:
    """Return a metric of this process; 0 if it does not exist yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def exported(page: str, row: str) -> float:
    """Return a metric of a /metrics page by its name and labels; 0 without such labels."""
    assert f"# TYPE {row.partition('{')[0]} " in page
    return next(
        (float(line.split()[-1]) for line in page.splitlines() if line.startswith(f"{row} ")), 0.0
    )
