"""docs/faults.md and the tests: every row has a test, and every mark names a row.

`python -m tests.docs.test_faults` rewrites the table's last column.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.fault_marks import NAMED, files_by_row, missing_tests, rows_of

MATRIX = Path(__file__).parents[2] / "docs" / "faults.md"
ROW = re.compile(r"^(\| (\d+) \|.*\|)([^|]*)\|$", re.MULTILINE)
NOT_YET: frozenset[int] = frozenset()  # rows whose tests bear no mark yet


def text() -> str:
    """The page."""
    return MATRIX.read_text(encoding="utf-8")


def rows() -> dict[int, list[str]]:
    """The files that the table names, by row."""
    return {
        int(number): re.findall(r"`([^`]+)`", files) for _, number, files in ROW.findall(text())
    }


def with_files(page: str) -> str:
    """The page with its last column as the marks have it."""
    marked = files_by_row()

    def row(match: re.Match[str]) -> str:
        files = ", ".join(
            f"`{file.removeprefix('tests/')}`" for file in marked.get(int(match[2]), [])
        )
        return f"{match[1]} {files} |" if files else f"{match[1]} |"

    return ROW.sub(row, page)


def test_the_matrix_has_its_61_rows_once_each() -> None:
    assert sorted(int(number) for _, number, _ in ROW.findall(text())) == list(range(1, 62))


def test_every_row_has_a_test_that_names_it() -> None:
    assert set(rows()) - set(files_by_row()) <= NOT_YET


def test_every_mark_names_a_row() -> None:
    assert {row: files for row, files in files_by_row().items() if row not in rows()} == {}


def test_the_table_names_files_that_bear_the_rows_mark() -> None:
    marked = files_by_row()
    strangers = {
        (row, file)
        for row, files in rows().items()
        for file in files
        if f"tests/{file}" not in marked.get(row, [])
    }
    assert strangers == set()


def test_every_property_names_a_test_that_exists() -> None:
    assert len(NAMED.findall(text())) == 6
    assert missing_tests(text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("@pytest.mark.fault(3)\ndef test_a(): ...", [3]),
        ("@pytest.mark.fault(3, 4)\nasync def test_a(): ...", [3, 4]),
        ("@pytest.mark.fault(3)\n@pytest.mark.fault(5)\ndef test_a(): ...", [3, 5]),
        ("pytestmark = [pytest.mark.slow, pytest.mark.fault(24)]", [24]),
        ("pytest.param(1, marks=pytest.mark.fault(9))", [9]),
        ("# pytest.mark.fault(9)\n@pytest.mark.slow\ndef test_a(): ...", []),
    ],
)
def test_marks_are_found_without_running_anything(source: str, found: list[int]) -> None:
    assert sorted(rows_of(ast.parse(source))) == found


def test_a_name_of_no_test_is_noticed() -> None:
    assert missing_tests(
        "`tests/docs/test_faults.py::test_nothing` and `tests/none.py::test_a`"
    ) == [
        "tests/docs/test_faults.py::test_nothing",
        "tests/none.py::test_a",
    ]
    assert missing_tests("`tests/docs/test_faults.py::test_every_mark_names_a_row`") == []


if __name__ == "__main__":
    MATRIX.write_text(with_files(text()), encoding="utf-8")
