"""Pictures of results."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")


def test_a_load_is_drawn_for_each_codec_and_policy_and_doubtful_figures_are_hollow(
    tmp_path: Path,
) -> None:
    from bench.plots import draw_load, save

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
    save(figure, tmp_path / "plots" / "a.png")
    assert 1_000 < (tmp_path / "plots" / "a.png").stat().st_size < 100_000
