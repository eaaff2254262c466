"""The Helm chart, rendered and checked strictly against the service and the image."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import metrics
from app.config.settings import Settings
from tests.clients.environment import node_beside
from tests.slow.environment import python_with
from tests.vllm.environment import CannotInstall

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VALUES = yaml.safe_load((ROOT / "deploy" / "helm" / "values.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
TYPE_CHECK = ("--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext")
ENGINES = {"engine": {"urls": ["http://one:9090", "http://two:9090"]}}
EVERYTHING: dict[str, Any] = {
    **ENGINES,
    "gpus": 1,
    "secretName": "keys",
    "settings": {"MAX_CONCURRENT_REQUESTS": 100, "CUDA_GRAPH_LENGTHS_S": "[0.64, 2]"},
    "environment": {"HOST": "127.0.0.1", "HF_HUB_OFFLINE": "1"},
    "files": {"words.tsv": "kubectl\tcube control"},
    "autoscaling": {"enabled": True},
    "cache": {"claim": "weights"},
    "voices": {"claim": "voices"},
    "imagePullSecrets": [{"name": "registry"}],
    "runtimeClassName": "nvidia",
    "nodeSelector": {"gpu": "yes"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "service": {"annotations": {"example.com/x": "y"}},
}


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return python_with("charts")
    except CannotInstall as exc:
        pytest.skip(f"the tools for charts cannot be installed: {exc}")


def checked(python: Path, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    command = [str(python), str(HERE / "check_chart.py")]
    return subprocess.run(
        command, input=json.dumps(values), capture_output=True, text=True, check=False
    )


def rendered(python: Path, values: dict[str, Any]) -> dict[str, Any]:
    ended = checked(python, values)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout)


def pod(manifests: dict[str, Any]) -> dict[str, Any]:
    return manifests["Deployment"]["spec"]["template"]["spec"]


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_the_defaults_are_the_embedded_voice_on_two_replicas(python: Path) -> None:
    manifests = rendered(python, {})
    assert sorted(manifests) == ["Deployment", "NOTES", "PodDisruptionBudget", "Service"]
    assert manifests["Deployment"]["spec"]["replicas"] == 2
    (container,) = pod(manifests)["containers"]
    assert "initContainers" not in pod(manifests)
    assert variables(container) == {
        "DEVICE": "cpu",
        "HOST": "0.0.0.0",
        "PORT": "9091",
        "SHUTDOWN_GRACE_S": "30",
    }


@pytest.mark.parametrize(
    ("values", "device"),
    [
        ({"gpus": 1}, "cuda:0"),
        ({"gpus": 2}, "cuda:0,cuda:1"),
        ({"gpus": 2, "settings": {"DEVICE": "cuda:1"}}, "cuda:1"),
        ({"gpus": 0, "settings": {"DEVICE": "cuda"}}, "cpu"),
    ],
)
def test_a_pod_decodes_on_its_gpus(python: Path, values: dict[str, Any], device: str) -> None:
    (container,) = pod(rendered(python, values))["containers"]
    assert variables(container)["DEVICE"] == device


def test_a_pod_that_ends_has_time_for_its_answers(python: Path) -> None:
    manifests = rendered(python, {"preStopS": 7, "shutdownGraceS": 60})
    (container,) = pod(manifests)["containers"]
    assert variables(container)["SHUTDOWN_GRACE_S"] == "60"
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "7"]
    assert pod(manifests)["terminationGracePeriodSeconds"] > 67
    assert manifests["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_it_is_asked_what_the_service_answers(python: Path) -> None:
    (container,) = pod(rendered(python, {}))["containers"]
    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")
    }
    assert paths == {
        "startupProbe": "/health",
        "livenessProbe": "/health",
        "readinessProbe": "/ready",
    }
    assert container["ports"] == [
        {"name": "http", "containerPort": Settings.model_fields["port"].default}
    ]


def test_every_container_is_nobody_special_and_writes_to_volumes_alone(python: Path) -> None:
    for values in ({}, EVERYTHING):
        # NVIDIA's container hooks fail on a read-only root.
        read_only = {"prefetch": True, "speech": "gpus" not in values}
        described = pod(rendered(python, values))
        (user,) = set(re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE))
        assert described["securityContext"]["runAsUser"] == int(user)
        assert described["securityContext"]["runAsNonRoot"]
        assert not described["automountServiceAccountToken"]
        for container in (*described["containers"], *described.get("initContainers", ())):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": read_only[container["name"]],
                "capabilities": {"drop": ["ALL"]},
            }
        (container,) = described["containers"]
        mounted = {
            mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")
        }
        image = json.loads(re.findall(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE)[0])
        assert mounted == {*image, "/tmp"}


def test_everything_at_once(python: Path) -> None:
    manifests = rendered(python, EVERYTHING)
    described = pod(manifests)
    (container,), (prefetch,) = described["containers"], described["initContainers"]
    given = variables(container)
    assert given == variables(prefetch)
    assert given["ENGINE_URLS"] == "http://one:9090,http://two:9090"
    assert given["HOST"] == "0.0.0.0"  # what the pod needs wins
    assert given["CUDA_GRAPH_LENGTHS_S"] == "[0.64, 2]"
    assert {name.lower() for name in given} - Settings.model_fields.keys() == {"hf_hub_offline"}
    assert prefetch["command"] == ["python", "-m", "app.prefetch"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert manifests["ConfigMap"]["data"] == EVERYTHING["files"]
    claims = {
        volume["name"]: volume.get("persistentVolumeClaim") for volume in described["volumes"]
    }
    assert claims["cache"] == {"claimName": "weights"}
    assert claims["voices"] == {"claimName": "voices"}


@pytest.mark.parametrize(
    ("through", "kind"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")]
)
def test_it_scales_by_the_streams_in_flight(python: Path, through: str, kind: str) -> None:
    manifests = rendered(python, {"autoscaling": {"enabled": True, "through": through}})
    assert "replicas" not in manifests["Deployment"]["spec"]
    assert (
        manifests[kind]["spec"]["scaleTargetRef"]["name"]
        == manifests["Deployment"]["metadata"]["name"]
    )
    assert metrics.IN_FLIGHT.describe()[0].name in json.dumps(manifests[kind])


@pytest.mark.parametrize("through", ["hpa", "keda"])
def test_replicas_go_one_at_a_time_and_late(python: Path, through: str) -> None:
    manifests = rendered(
        python, {"autoscaling": {"enabled": True, "through": through, "scaleDownS": 123}}
    )
    if through == "keda":
        specification = manifests["ScaledObject"]["spec"]
        assert "cooldownPeriod" not in specification  # it counts on the way to no replica alone
        behaviour = specification["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    else:
        behaviour = manifests["HorizontalPodAutoscaler"]["spec"]["behavior"]
    policies = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    assert behaviour == {"scaleDown": {"stabilizationWindowSeconds": 123, "policies": policies}}


def test_settings_arrive_as_they_are_written(python: Path) -> None:
    """Numbers of a values file are floats to Helm, whose own way to write them is 2e+07."""
    settings = {
        "MAX_REFERENCE_BYTES": 20_000_000.0,
        "MAX_INPUT_CHARACTERS": 1_000_000,
        "TARGET_RMS_DB": -18.5,
        "MAX_DECODE_LOAD": 0,
        "NORMALIZE_LOUDNESS": False,
        "CUDA_GRAPH_LENGTHS_S": [0.64, 2],
        "VOICES": "husein,nova",
        "PRONUNCIATIONS": "/config/1e3.tsv",
    }
    given = variables(pod(rendered(python, {"settings": settings}))["containers"][0])
    assert given["MAX_REFERENCE_BYTES"] == "20000000"
    read = Settings(_env_file=None, **{name.lower(): given[name] for name in settings})  # type: ignore[arg-type,call-arg]
    meant = Settings(_env_file=None, **{name.lower(): value for name, value in settings.items()})  # type: ignore[arg-type,call-arg]
    assert read == meant


def test_a_rollout_can_do_with_the_gpus_there_are(python: Path) -> None:
    manifests = rendered(python, {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
    assert manifests["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {
        "maxUnavailable": 1,
        "maxSurge": 0,
    }


@pytest.mark.parametrize(
    ("values", "is_open"),
    [({}, True), ({"secretName": "keys"}, False), ({"settings": {"API_KEYS": "sk-one"}}, False)],
)
def test_the_notes_say_whether_it_is_open(
    python: Path, values: dict[str, Any], is_open: bool
) -> None:
    assert ("open to every client" in rendered(python, values)["NOTES"]) == is_open


def type_errors(manifest: dict[str, Any], folder: Path) -> str:
    """Return TypeScript's errors by the types generated from KEDA's resource definitions."""
    script = folder / "scaled_object.ts"
    script.write_text(
        "import type { IScaledObject } from "
        '"@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";\n'
        f"export const made: IScaledObject = {json.dumps(manifest)};\n"
    )
    try:
        beside = node_beside(script)
    except CannotInstall as exc:
        pytest.skip(f"KEDA's types cannot be installed: {exc}")
    command = [
        "node",
        "node_modules/typescript/bin/tsc",
        *["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext"],
    ]
    return subprocess.run(
        [*command, beside.name], cwd=beside.parent, capture_output=True, text=True, check=False
    ).stdout


def test_kedas_object_is_as_kedas_own_definition_has_it(python: Path, tmp_path: Path) -> None:
    manifest = rendered(python, {"autoscaling": {"enabled": True, "through": "keda"}})[
        "ScaledObject"
    ]
    assert type_errors(manifest, tmp_path) == ""
    manifest["spec"]["minReplicas"] = manifest["spec"].pop("minReplicaCount")
    assert "minReplicas" in type_errors(manifest, tmp_path)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"autoscaling": {"enabled": True, "through": "hope"}}, "through"),
        ({"service": {"type": 5}}, "type"),
        ({"replcas": 9}, "replcas"),
        ({"replicas": "many"}, "replicas"),
        ({"cache": {"clam": "weights"}}, "clam"),
        ({"settings": {"MAX_CONCURENT": 9}}, "MAX_CONCURENT"),
        ({"settings": {"PORT": 9000}}, "PORT"),
        ({"settings": {"VOICES": {"husein": True}}}, "VOICES"),
    ],
)
def test_values_that_cannot_be_are_refused(
    python: Path, values: dict[str, Any], named: str
) -> None:
    refused = checked(python, values)
    assert refused.returncode != 0
    assert named in refused.stderr


def test_a_parent_chart_may_give_its_globals(python: Path) -> None:
    assert rendered(python, {"global": {"registry": "example.com"}}) == rendered(python, {})


def test_the_chart_is_the_packages_version() -> None:
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "Chart.yaml").read_text())
    (version,) = re.findall(
        r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert chart["appVersion"] == version


def test_the_charts_times_are_the_services() -> None:
    assert VALUES["shutdownGraceS"] == Settings.model_fields["shutdown_grace_s"].default
