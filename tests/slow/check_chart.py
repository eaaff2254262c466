"""Renders and checks the chart: values as JSON on stdin, its manifests as JSON on stdout, NOTES
among them; run in .venv-charts.

A manifest that Kubernetes would refuse, or in which it would overlook a field, ends it with the
reason. Kinds that are not Kubernetes' own (KEDA's) are rendered, and checked by the test.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import kubernetes_validate  # pyright: ignore
import yaml
from helm_python import Chart, lint  # pyright: ignore

CHART = Path(__file__).parents[2] / "deploy" / "helm"
VERSIONS = "1.37.0", "1.30.0"
FOREIGN = ("ScaledObject",)


def main() -> None:
    """Check and print."""
    values = json.load(sys.stdin)
    found = lint(str(CHART), values, strict=True)
    problems = [
        message for message in found["messages"] if message["severity"] > 1
    ]  # 1: an icon is recommended
    if problems or found["errors"]:
        sys.exit(f"{problems} {found['errors']}")
    rendered = Chart.load(str(CHART)).render(values, name="speech", namespace="tts")
    manifests = [
        yaml.safe_load(text)
        for path, text in rendered.items()
        if path.endswith(".yaml") and text.strip()
    ]
    for manifest in filter(None, manifests):
        for version in () if manifest["kind"] in FOREIGN else VERSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)
    (notes,) = (text for path, text in rendered.items() if path.endswith("NOTES.txt"))
    json.dump(
        {"NOTES": notes, **{manifest["kind"]: manifest for manifest in manifests if manifest}},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
