"""The files around the code: containers, Makefile, licence and CI agree with the code and with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose  # pyright: ignore

from app.server import CLOSE_S, CUT_OFF_S
from app.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE = ("docker-compose.yaml", "docker-compose-cpu.yaml", "vllm.yaml", "stress-test.yaml")
HADOLINT = Path(sys.executable).with_name("hadolint")
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def interpolated(file: str) -> str:
    """A compose file as docker reads it where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / file).read_text())


def defaults() -> Settings:
    return Settings.model_validate({name: field.default for name, field in Settings.model_fields.items()})


@pytest.mark.parametrize("file", COMPOSE)
def test_a_compose_file_is_valid_and_joins_the_shared_network(file: str) -> None:
    document = yaml.safe_load(interpolated(file))
    PyCompose.from_yaml(interpolated(file))  # pyright: ignore  # refuses unknown keys, bad durations and ports
    assert "$" not in interpolated(file)
    assert document["name"] == "speech-server"
    assert document["networks"] == {"default": {"name": "speech-server"}}


@pytest.mark.parametrize("file", COMPOSE)
def test_images_are_built_here_or_pinned(file: str) -> None:
    for service in yaml.safe_load(interpolated(file))["services"].values():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+", service["image"])
            continue
        assert (ROOT / service["build"]["context"] / "Dockerfile").is_file()
        assert re.search(rf"^FROM .* AS {service['build']['target']}$", DOCKERFILE, re.MULTILINE)


def test_the_engine_listens_where_the_service_looks() -> None:
    engine = yaml.safe_load(interpolated("vllm.yaml"))["services"]["vllm"]
    service = yaml.safe_load(interpolated("docker-compose.yaml"))["services"]["speech"]
    arguments = engine["command"]
    assert service["environment"]["TTS_API"] == f"http://vllm:{arguments[arguments.index('--port') + 1]}"
    assert int(arguments[arguments.index("--max-num-seqs") + 1]) >= defaults().max_concurrent_requests


@pytest.mark.fault(30)
@pytest.mark.parametrize("file", ["docker-compose.yaml", "docker-compose-cpu.yaml"])
def test_the_service_has_time_to_finish(file: str) -> None:
    service = yaml.safe_load(interpolated(file))["services"]["speech"]
    longest_s = defaults().shutdown_grace_s + CUT_OFF_S + CLOSE_S
    assert int(service["stop_grace_period"].removesuffix("s")) > longest_s
    assert service["ports"] == [f"{defaults().port}:{defaults().port}"]


def test_the_dockerfile_is_clean() -> None:
    checked = subprocess.run([HADOLINT, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_the_image_copies_exists_and_is_sent() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    names = {name for names in copied for name in names}
    assert names <= sent
    assert all((ROOT / name).exists() for name in names)


def test_torch_is_one_version_everywhere() -> None:
    (pinned,) = [name for name in PROJECT["dependencies"] if name.startswith("torch")]
    assert f"TORCH := {pinned}\n" in (ROOT / "Makefile").read_text()
    assert f"pip install {pinned}\n" in DOCKERFILE


def test_the_licence_is_what_the_package_says() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence


def test_ci_runs_targets_that_exist() -> None:
    script = ROOT / ".ci" / "run"
    targets = re.findall(r"^stage \d+ (\S+)", script.read_text(), re.MULTILINE)
    assert os.access(script, os.X_OK)
    assert targets[-1] == "test"
    planned = subprocess.run(["make", "-n", *targets], cwd=ROOT, capture_output=True, text=True, check=False)
    assert planned.returncode == 0, planned.stderr


def test_pre_commit_runs_tools_of_the_test_extra() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    tools = {Path(hook["entry"].split()[0]).name for hook in hooks}
    extra = {re.split(r"[\[=<>]", name)[0] for name in PROJECT["optional-dependencies"]["test"]}
    assert tools
    assert tools <= extra


def test_every_data_file_of_the_package_is_in_the_wheel() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["app"]
    packaged = {path for pattern in patterns for path in (ROOT / "app").glob(pattern)}
    data = {path for path in (ROOT / "app").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc", ".md")}
    assert data
    assert data - packaged == set()
