"""Containers, Makefile, licence and CI agree with the code and with each other."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose  # pyright: ignore

from app import __version__
from app.config.settings import Settings
from app.server.server import CANCEL_GRACE_S, CLOSE_TIMEOUT_S
from tests.compose_env import environment_of

ROOT = Path(__file__).parents[2]
COMPOSE = ("docker-compose.yaml", "docker-compose-cpu.yaml", "vllm.yaml", "stress-test.yaml")
SERVICE = COMPOSE[:2]
PRESETS = sorted(ROOT.glob(".env_*dynamicbatching*"))
HADOLINT = Path(sys.executable).with_name("hadolint")
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def interpolated(file: str) -> str:
    """A compose file as docker reads it where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / file).read_text())


def option(arguments: list[str], name: str) -> str:
    """The value of an option of a command line."""
    return arguments[arguments.index(name) + 1]


def defaults() -> Settings:
    return Settings.model_validate(
        {name: field.default for name, field in Settings.model_fields.items()}
    )


@pytest.mark.parametrize("file", COMPOSE)
def test_a_compose_file_is_valid_and_joins_the_shared_network(file: str) -> None:
    document = yaml.safe_load(interpolated(file))
    # Refuses unknown keys, bad durations and ports; of docker's own names for addresses it does not
    # know this one.
    PyCompose.from_yaml(interpolated(file).replace("host-gateway", "172.17.0.1"))  # pyright: ignore
    assert "$" not in interpolated(file)
    assert document["name"] == "speech-server"
    assert document["networks"] == {"default": {"name": "speech-server"}}


def test_the_version_is_one() -> None:
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "Chart.yaml").read_text())
    assert PROJECT["version"] == chart["appVersion"] == __version__


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
    arguments = engine["command"]
    port = option(arguments, "--port")
    assert environment_of("docker-compose.yaml", {})["TTS_API"] == f"http://vllm:{port}"
    assert int(option(arguments, "--max-num-seqs")) >= defaults().max_concurrent_requests


def test_the_engine_has_a_queue_beside_the_requests_that_it_runs() -> None:
    arguments = yaml.safe_load(interpolated("vllm.yaml"))["services"]["vllm"]["command"]
    running, in_flight = (
        int(option(arguments, name)) for name in ("--max-num-seqs", "--max-num-queued-reqs")
    )
    assert in_flight >= 2 * running


def test_both_compose_files_of_the_service_differ_in_the_device_alone() -> None:
    gpu, cpu = (yaml.safe_load((ROOT / file).read_text())["services"]["speech"] for file in SERVICE)
    assert {key for key in {**gpu, **cpu} if gpu.get(key) != cpu.get(key)} == {
        "build", "deploy", "env_file", "environment", "image", "read_only",
    }  # fmt: skip
    of_gpu, of_cpu = (environment_of(file, {}) for file in SERVICE)
    assert {key for key in of_cpu if of_cpu[key] != of_gpu.get(key)} == {"DEVICE", "TTS_API"}


@pytest.mark.parametrize("file", SERVICE)
def test_settings_reach_the_container(file: str) -> None:
    """All come from .env, but those that the container fixes; those would be lost on their way."""
    service = yaml.safe_load(interpolated(file))["services"]["speech"]
    assert service["env_file"][1:] == [{"path": ".env", "required": False}]
    assert set(service["environment"]) == {"HOST", "PORT"} | (
        {"DEVICE"} if "cpu" in file else set()
    )


def test_a_container_with_a_gpu_does_not_decode_on_the_cpu_unless_asked_to() -> None:
    assert environment_of("docker-compose.yaml", {})["DEVICE"] == "cuda"
    asked = {"DEVICE": "cuda:0,cuda:1"}
    assert environment_of("docker-compose.yaml", asked)["DEVICE"] == asked["DEVICE"]
    assert environment_of("docker-compose.yaml", {}, asked)["DEVICE"] == asked["DEVICE"]


@pytest.mark.parametrize("file", SERVICE)
@pytest.mark.parametrize("name", ["ENGINE_URLS", "TTS_API"])
@pytest.mark.parametrize("shells_name", ["ENGINE_URLS", "TTS_API"])
def test_the_file_that_env_file_names_has_the_last_word(
    file: str, name: str, shells_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that it does not name come from the shell or .env."""
    mine = {name: "http://mine:9090", "HF_TOKEN": "mine"}
    shells = {shells_name: "http://shell:9090"}
    assert environment_of(file, mine, shells).items() >= mine.items()
    for given, url in ((mine, "http://mine:9090"), ({}, "http://shell:9090")):
        for each in ("ENGINE_URLS", "TTS_API"):
            monkeypatch.delenv(each, raising=False)
        for each, value in environment_of(file, given, shells).items():
            monkeypatch.setenv(each, value)
        assert Settings(_env_file=None).engine_urls == (url,)


def test_each_gpu_can_be_chosen_and_is_the_first_unless_it_is() -> None:
    for file, name in (("docker-compose.yaml", "CODEC_GPU"), ("vllm.yaml", "VLLM_GPU")):
        assert f"${{{name}:-0}}" in (ROOT / file).read_text()
        (service,) = yaml.safe_load(interpolated(file))["services"].values()
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["device_ids"] == ["0"]
        assert "count" not in device


@pytest.mark.parametrize("file", COMPOSE[:3])
def test_a_log_cannot_fill_the_disk(file: str) -> None:
    (service,) = yaml.safe_load(interpolated(file))["services"].values()
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()


@pytest.mark.parametrize("file", SERVICE)
def test_the_service_cannot_take_the_machines_memory(file: str) -> None:
    service = yaml.safe_load(interpolated(file))["services"]["speech"]
    assert service["mem_limit"] == "8g"
    assert all("size=" in place for place in service["tmpfs"])


@pytest.mark.parametrize("file", SERVICE)
def test_what_the_service_writes_is_on_a_volume(file: str) -> None:
    service = yaml.safe_load(interpolated(file))["services"]["speech"]
    mounted = {volume.split(":")[1] for volume in service["volumes"] if not volume.endswith(":ro")}
    assert mounted == set(json.loads(re.search(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)[1]))  # type: ignore[index]
    used = set(re.findall(r"(?:HF_HOME|VOICES_FOLDER)=(\S+)", DOCKERFILE))
    assert mounted == used | {"/var/lib/speech/replays"}  # which REPLAY_FOLDER may name
    (made,) = re.findall(
        r"install --directory --owner speech --mode 700 (.*)$", DOCKERFILE, re.MULTILINE
    )
    assert set(made.split()) == mounted
    # NVIDIA's container hooks fail on a read-only root.
    assert service.get("read_only", False) == ("cpu" in file)
    assert service["tmpfs"] == ["/tmp:exec,size=1g"]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.name)
def test_a_preset_is_settings_that_the_service_takes(preset: Path) -> None:
    names = re.findall(r"^([A-Z_]+)=", preset.read_text(), re.MULTILINE)
    settings = Settings(_env_file=preset)  # type: ignore[call-arg]
    assert {name.lower() for name in names} <= Settings.model_fields.keys()
    assert settings.dynamic_batching == ("nodynamic" not in preset.name)
    assert settings.cuda_graph_lengths_s == (None if "cudagraph" in preset.name else ())


@pytest.mark.fault(30)
@pytest.mark.parametrize("file", SERVICE)
def test_the_service_has_time_to_finish(file: str) -> None:
    service = yaml.safe_load(interpolated(file))["services"]["speech"]
    longest_s = defaults().shutdown_grace_s + CANCEL_GRACE_S + CLOSE_TIMEOUT_S
    assert int(service["stop_grace_period"].removesuffix("s")) > longest_s
    assert service["ports"] == [f"{defaults().port}:{defaults().port}"]


def test_the_dockerfile_is_clean() -> None:
    checked = subprocess.run(
        [HADOLINT, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_the_image_copies_exists_and_is_sent() -> None:
    sent = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = [
        line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)
    ]
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
    planned = subprocess.run(
        ["make", "-n", *targets], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert planned.returncode == 0, planned.stderr


def test_pre_commit_runs_tools_of_the_test_extra() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    tools = {Path(hook["entry"].split()[0]).name for hook in hooks}
    extra = {re.split(r"[\[=<>]", name)[0] for name in PROJECT["optional-dependencies"]["test"]}
    assert tools
    assert tools <= extra


def test_what_the_service_imports_is_declared() -> None:
    shipped = ("app", "text_normaliser", "stress_test")
    paths = [path for folder in shipped for path in (ROOT / folder).rglob("*.py")]
    trees = [ast.parse(path.read_text()) for path in paths]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    imported = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - set(shipped)
    declared = {
        re.split(r"[\[=<>;]", name)[0].lower()
        for names in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for name in names
    } | {"pydantic", "starlette"}  # FastAPI's own, in the versions that it asks for
    by_module = packages_distributions()
    packages = {
        name: {each.lower().replace("_", "-") for each in by_module[name]} for name in imported
    }
    assert {name for name in imported if not packages[name] & declared} == set()


def test_every_data_file_of_the_package_is_in_the_wheel() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]["app"]
    packaged = {path for pattern in patterns for path in (ROOT / "app").glob(pattern)}
    data = {
        path
        for path in (ROOT / "app").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md")
    }
    assert data
    assert data - packaged == set()
