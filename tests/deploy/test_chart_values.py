"""The chart's values against their schema, and the schema against the service's settings.

`python -m tests.deploy.test_chart_values` rewrites the settings' names in the schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from app.config.settings import setting_names

CHART = Path(__file__).parents[2] / "deploy" / "helm"
SCHEMA = CHART / "values.schema.json"
OF_THE_CHART = {
    "HOST",
    "PORT",
    "SHUTDOWN_GRACE_S",
}  # which sets them itself, or by a value of another name


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text())
    return loaded


def names() -> list[str]:
    """The settings that may be given, from the code."""
    return sorted({name.upper() for name in setting_names()} - OF_THE_CHART)


def keys(values: dict[str, Any], described: dict[str, Any], path: str = "") -> list[str]:
    """Yield differences between the keys of values and of the schema's closed objects."""
    properties = described.get("properties")
    if properties is None:
        return []
    assert described["additionalProperties"] is False, path
    different = [f"{path}{name}" for name in {*values} ^ {*properties}]
    nested = [name for name in {*values} & {*properties} if isinstance(values[name], dict)]
    return [
        *different,
        *(key for name in nested for key in keys(values[name], properties[name], f"{path}{name}.")),
    ]


def test_the_settings_are_the_services_own() -> None:
    assert schema()["properties"]["settings"]["propertyNames"]["enum"] == names()


def test_the_schema_has_the_values_keys_and_no_others() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert keys(values, schema()) == ["global"]  # what a parent chart gives


if __name__ == "__main__":
    written = schema()
    written["properties"]["settings"]["propertyNames"]["enum"] = names()
    SCHEMA.write_text(json.dumps(written, indent=2) + "\n")
