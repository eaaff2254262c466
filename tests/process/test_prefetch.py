"""`python -m app.prefetch` against a hub on a socket."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.codec.hub import HubId
from app.config.profiles import load_profile
from tests.codec.fake_hub import Hub, serving
from tests.fakes import UNREACHABLE

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
ENGINE = {"ENGINE_URLS": UNREACHABLE}


def prefetch(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    own = {
        "PYTHONPATH": str(ROOT),
        "HF_HOME": str(folder / "cache"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "app.prefetch"],
        cwd=folder,
        env={**clean, **own, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def hub_of(profile: str, **files: int) -> Hub:
    """Return a hub with a profile's codec, with files of these sizes."""
    source = HubId.parse(load_profile(profile).codec.weights)
    assert source.revision
    return Hub(
        source.repository, source.revision, {name: bytes(size) for name, size in files.items()}
    )


@pytest.mark.parametrize("profile", ["scicom", "orpheus"])
def test_a_profile_names_one_commit(profile: str) -> None:
    revision = HubId.parse(load_profile(profile).codec.weights).revision
    assert revision is not None
    assert len(revision) == 40
    assert set(revision) <= set("0123456789abcdef")


def test_the_profiles_revision_is_fetched_once_and_its_progress_told(tmp_path: Path) -> None:
    files = {"model.safetensors": 3_000_000, "config.json": 20}
    with serving(hub_of("scicom", **files)) as hub:
        first = prefetch(tmp_path, HF_ENDPOINT=hub.url, **ENGINE)
        assert first.returncode == 0, first.stderr
        asked = list(hub.asked)
        again = prefetch(tmp_path, HF_ENDPOINT=hub.url, **ENGINE)
        assert again.returncode == 0, again.stderr
        assert hub.asked == asked
    assert {path.split("/")[4] for path in asked} == {hub.commit}
    lines = first.stdout.splitlines()
    assert any(line.endswith("model.safetensors: 100% of 3 MB") for line in lines)
    assert [line.split("/")[-1] for line in lines[-2:]] == [
        "model.safetensors: 3.0 MB",
        "config.json: 0.0 MB",
    ]
    assert first.stderr == ""
    cached = [path for path in (tmp_path / "cache").rglob("snapshots/*/*") if path.is_file()]
    assert sorted(path.name for path in cached) == sorted(files)


def test_a_repository_with_a_pickle_alone_gives_the_pickle(tmp_path: Path) -> None:
    with serving(hub_of("orpheus", **{"pytorch_model.bin": 1000})) as hub:
        ended = prefetch(tmp_path, HF_ENDPOINT=hub.url, MODEL_PROFILE="orpheus", **ENGINE)
    assert ended.returncode == 0, ended.stderr
    assert "pytorch_model.bin" in ended.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("some/other", "neither a folder nor a repository"),
        ("neuphonic/neucodec@main", "has no model.safetensors or"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(tmp_path: Path, weights: str, words: str) -> None:
    with serving(hub_of("scicom", **{"README.md": 10})) as hub:
        ended = prefetch(tmp_path, HF_ENDPOINT=hub.url, CODEC_WEIGHTS=weights, **ENGINE)
    assert ended.returncode == 1
    assert words in ended.stderr
    assert weights in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "hub",
    [
        {"HF_HUB_OFFLINE": "1"},
        pytest.param(
            {"HF_ENDPOINT": UNREACHABLE}, marks=pytest.mark.slow
        ),  # 25 s of the hub's own retries
    ],
)
def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path, hub: dict[str, str]) -> None:
    ended = prefetch(tmp_path, **hub, **ENGINE)
    assert ended.returncode == 1
    assert "the hub cannot be reached" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("environment", [{}, {**ENGINE, "CODEC_WEIGHTS": "random"}])
def test_settings_without_a_hub_fetch_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    ended = prefetch(tmp_path, HF_ENDPOINT=UNREACHABLE, **environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("nothing to fetch")
