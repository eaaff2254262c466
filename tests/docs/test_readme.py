"""README.md and docs/ agree with the code: the settings table, files, tests and versions.

`python tests/docs/test_readme.py` rewrites the settings table in docs/settings.md.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.config.settings import Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
OPENAI = ROOT / "docs" / "openai.md"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "bench" / "README.md",
    ROOT / "training" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
TABLE = re.compile(r"\| setting \| default \| meaning \|\n(?:\|.*\n)+")


def settings_table() -> str:
    """One row for each field: name, default, description."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        value = field.default
        shown = (
            ""
            if value in (None, ())
            else f"`{str(value).lower() if isinstance(value, bool) else value}`"
        )
        rows.append(f"| `{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def test_the_settings_table_follows_the_code() -> None:
    found = TABLE.search(SETTINGS.read_text(encoding="utf-8"))
    assert found
    assert found.group() == settings_table()


def test_every_file_that_it_names_exists() -> None:
    named = re.findall(
        r"`((?:app|bench|tests|voices|deploy)/[\w./-]*|[\w.-]+\.(?:yaml|md))`",
        README.read_text(encoding="utf-8"),
    )
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    broken: list[str] = []
    for link in links:
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_readme_links_every_page() -> None:
    links = LINK.findall(README.read_text(encoding="utf-8"))
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert pages - {link.partition("#")[0] for link in links} == set()


def test_every_row_against_openai_names_a_test_that_exists() -> None:
    assert (
        "](docs/openai.md)"
        in README.read_text(encoding="utf-8").partition("## API")[2].partition("\n| ")[0]
    )
    tables = re.findall(
        r"\| OpenAI \| here \| test \|\n\|---.*\n((?:\|.*\n)+)", OPENAI.read_text(encoding="utf-8")
    )
    rows = [row for table in tables for row in table.splitlines()]
    named = [re.findall(r"`(test_\w+)` \|$", row) for row in rows]
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")
    )
    known = set(re.findall(r"^(?:async )?def (test_\w+)", sources, re.MULTILINE))
    assert len(rows) >= 28
    assert [
        row for row, names in zip(rows, named, strict=True) if not names or names[0] not in known
    ] == []


def test_the_versions_of_the_clients_are_those_that_are_installed() -> None:
    text = OPENAI.read_text(encoding="utf-8")
    pins = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "tests" / "clients").glob("requirements-*.txt")
    )
    for shown, package in (
        ("plugin", "livekit-plugins-openai"),
        ("service", "pipecat-ai"),
        ("LiteLLM", "litellm"),
    ):
        (version,) = re.findall(rf"^{package}==(\S+)$", pins, re.MULTILINE)
        assert f"{shown} {version} |" in text
    node = json.loads((ROOT / "tests" / "clients" / "package.json").read_text(encoding="utf-8"))
    assert f"Node SDK {node['dependencies']['openai']} |" in text


if __name__ == "__main__":
    text = SETTINGS.read_text(encoding="utf-8")
    SETTINGS.write_text(TABLE.sub(lambda _: settings_table(), text), encoding="utf-8")
