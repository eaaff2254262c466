"""Pictures of results: small, and drawn from what the simulation writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.policies import POLICIES

pytest.importorskip("matplotlib")


def test_a_picture_is_small_and_shows_every_policy(tmp_path: Path) -> None:
    from bench.plots import NAMES, draw_simulation, save

    rows: list[dict[str, str | float]] = [
        {"policy": policy, "load": load, "audio_s_per_s": 10.0, "ttfa_ms_p99": 100.0}
        for policy in POLICIES
        for load in ("1 streams", "4 streams", "10 requests/s")
    ]
    figure = draw_simulation(rows, "title")
    assert [len(axes.lines) for axes in figure.axes] == [len(NAMES)] * 2
    assert all(len(line.get_xdata()) == 2 for axes in figure.axes for line in axes.lines), (
        "streams only"
    )
    save(figure, tmp_path / "plots" / "a.png")
    assert 1_000 < (tmp_path / "plots" / "a.png").stat().st_size < 100_000


def test_a_load_is_drawn_for_each_codec_and_policy_and_doubtful_figures_are_hollow() -> None:
    from bench.plots import draw_load

    measures = (
        "audio_s_per_s",
        *(f"first_{what}_ms_p{part}" for what in ("audio", "window") for part in (50, 99)),
    )
    figures = dict.fromkeys(measures, 5.0)
    rows: list[dict[str, object]] = [
        {
            "codec": codec,
            "policy": policy,
            "streams": streams,
            "believable": streams != 200,
            **figures,
        }
        for codec, policy in (("free", "deadline"), ("stub", "deadline"), ("stub", "one by one"))
        for streams in (1, 200, None)
    ]
    figure = draw_load(rows, "title")
    assert [len(legend.get_texts()) for legend in figure.legends] == [3]
    marks = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert {(line.get_xdata()[0], line.get_fillstyle()) for line in marks} == {
        (1, "full"),
        (200, "none"),
    }
