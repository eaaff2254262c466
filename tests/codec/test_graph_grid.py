"""The grid of shapes: the smallest that holds a batch, and an order in which memory is reused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codec.graph_grid import Grid

GRID = Grid.up_to(20, (256, 32, 64))


def test_the_largest_batch_is_a_step_of_rows() -> None:
    assert Grid((1, 2, 3, 4, 6, 8, 12, 16, 20), (32, 64, 256)) == GRID
    assert Grid.up_to(1, (32,)).rows == (1,)


@given(rows=st.integers(1, 512))
def test_a_batch_is_padded_to_at_most_half_as_many_rows_again(rows: int) -> None:
    padded, _ = Grid.up_to(512, (32,)).fit(rows, 32) or (0, 0)
    assert rows <= padded <= max(1.5 * rows, rows + 1)


@given(rows=st.integers(1, 20), frames=st.integers(1, 256))
def test_a_batch_fits_and_no_smaller_shape_holds_it(rows: int, frames: int) -> None:
    shape = GRID.fit(rows, frames)
    assert shape in set(GRID.largest_first())
    holding = [each for each in GRID.largest_first() if each[0] >= rows and each[1] >= frames]
    assert shape == min(holding)


@pytest.mark.parametrize("batch", [(21, 32), (1, 257)])
def test_what_is_too_large_fits_nothing(batch: tuple[int, int]) -> None:
    assert GRID.fit(*batch) is None


def test_padded_frames_never_grow_on_the_way() -> None:
    sizes = [rows * frames for rows, frames in GRID.largest_first()]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == len(GRID.rows) * len(GRID.frames)
