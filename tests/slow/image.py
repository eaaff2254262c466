"""The Dockerfile without a docker engine: its steps on overlays of this machine's own file system.

Each stage is an overlay whose lower layer is the root file system, with this Python in /usr/local
as an official Python image has it; the layers live in memory, in a mount namespace that ends with
its process. What differs from a real image: the base is this machine's Debian, and caches of `RUN
--mount` are this machine's own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LD_LIBRARY_PATH": "/usr/local/lib"}
LAYERS = "/mnt"  # within the namespace, where a file system in memory hides what was there
PYTHON = sys.base_prefix
PROBE = """mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w /mnt/m
mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/m"""
PIP = {
    name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))
}  # of this network


def can_build() -> bool:
    """Return if this process may make namespaces and overlays."""
    probe = ["unshare", "--mount", "sh", "-ec", PROBE]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@dataclass
class Stage:
    """One FROM … AS name, as far as it has been built."""

    name: str
    environment: dict[str, str] = field(default_factory=dict[str, str])
    folder: str = "/"
    user: str = "0"
    volumes: list[str] = field(default_factory=list[str])
    command: list[str] = field(default_factory=list[str])
    health: list[str] = field(default_factory=list[str])

    @property
    def root(self) -> str:
        """Path at which its file system is mounted, within the namespace."""
        return f"{LAYERS}/{self.name}/root"


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Keyword and arguments of each instruction, continuation lines joined, comments left out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [
        (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
        for line in joined.splitlines()
        if line.strip()
    ]


class Image:
    """The stages of a Dockerfile, built one after the other in a namespace."""

    def __init__(self, namespace: int, arguments: Mapping[str, str]) -> None:
        self._namespace, self._arguments = namespace, dict(arguments)
        self.stages: dict[str, Stage] = {}

    def build(self, dockerfile: Path) -> None:
        """Run every instruction; raises CalledProcessError, with the output, at one that fails."""
        self.inside(f"mount -t tmpfs layers {LAYERS}")
        stage = Stage("none")
        for keyword, rest in instructions(dockerfile.read_text()):
            if keyword == "FROM":
                stage = self._begin(rest.split()[-1])
            elif keyword == "ARG":
                name, _, default = rest.partition("=")
                self._arguments.setdefault(name, default)
            elif keyword == "ENV":
                stage.environment |= self._variables(rest, stage)
            else:
                getattr(self, f"_{keyword.lower()}")(rest, stage)

    def inside(self, script: str) -> str:
        """Run a shell script in the namespace, as root; its output."""
        command = ["nsenter", f"--target={self._namespace}", "--mount", "sh", "-ec", script]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def container(
        self, stage: Stage, command: list[str], environment: Mapping[str, str]
    ) -> list[str]:
        """The command line that runs a command as a container of the stage would: its user, its
        environment only.
        """
        variables = [
            f"{name}={value}" for name, value in {**stage.environment, **environment}.items()
        ]
        person = f"--userspec={stage.user}:{stage.user}"
        inner = ["sh", "-c", f'cd {stage.folder} && exec "$@"', "sh", *command]
        run = ["chroot", person, "--groups=", stage.root, "env", "-i", *variables, *inner]
        return ["nsenter", f"--target={self._namespace}", "--mount", "--", *run]

    def seal(self, stage: Stage) -> None:
        """Make the stage read-only, but for its volumes (with what the image has there) and an
        empty /tmp.
        """
        root = stage.root
        for volume in stage.volumes:
            kept = f"{LAYERS}/volume{volume.replace('/', '-')}"
            self.inside(f"cp -a {root}{volume} {kept}")
            self.inside(f"mount --bind {kept} {root}{volume}")
        self.inside(
            f"mount -t tmpfs -o mode=1777 tmp {root}/tmp && mount -o remount,ro,bind {root}"
        )
        self.inside(f"mount -o remount,ro,bind {root}/usr/local")

    def _begin(self, name: str) -> Stage:
        stage = Stage(name, dict(BASE))
        root = stage.root
        self._overlay(f"{name}/system", "/", root)
        self._overlay(f"{name}/python", PYTHON, f"{root}/usr/local")
        self.inside(f"mount -t proc proc {root}/proc && mount --rbind /dev {root}/dev")
        # Python and pip alone, as in the official image: what this machine has installed would hide
        # what is missing.
        others = f"{root}/usr/local/lib/python3*/site-packages -mindepth 1 -maxdepth 1"
        others += " ! -name 'pip*' ! -name '*.pth' ! -name 'setuptools*' ! -name _distutils_hack"
        self.inside(f"find {others} -exec rm -r {{}} +")
        self.inside(f"sed -i '1s|.*|#!/usr/local/bin/python|' {root}/usr/local/bin/pip*")
        self.stages[name] = stage
        return stage

    def _overlay(self, name: str, lower: str, target: str) -> None:
        place = f"{LAYERS}/{name}"
        layers = f"lowerdir={lower},upperdir={place}/upper,workdir={place}/work"
        self.inside(
            f"mkdir -p {place}/upper {place}/work {target}"
            f" && mount -t overlay layers -o {layers} {target}"
        )

    def _variables(self, rest: str, stage: Stage) -> dict[str, str]:
        pairs = (word.partition("=") for word in shlex.split(rest))
        return {name: value.replace("$PATH", stage.environment["PATH"]) for name, _, value in pairs}

    def _run(self, rest: str, stage: Stage) -> None:
        script = re.sub(r"^(--mount=\S+\s+)+", "", rest)
        variables = {
            **PIP,
            **stage.environment,
            **{key: value for key, value in self._arguments.items() if value},
        }
        subprocess.run(self.container(stage, ["sh", "-ec", script], variables), check=True)

    def _copy(self, rest: str, stage: Stage) -> None:
        *sources, target = rest.split()
        if not target.startswith("/"):
            target = f"{stage.folder}/{target}"
        origin, left_out = (
            str(ROOT),
            f"find {stage.root}{target} -name __pycache__ -prune -exec rm -r {{}} +",
        )
        if sources[0].startswith("--from="):
            origin, left_out = self.stages[sources.pop(0).removeprefix("--from=")].root, ":"
        for source in sources:
            path, place = f"{origin}/{source.removeprefix('/')}", f"{stage.root}{target}"
            # Of a folder the content is copied; .dockerignore leaves caches out.
            folder = f"mkdir -p {place}; cp -a {path}/. {place}; {left_out}"
            self.inside(f"if [ -d {path} ]; then {folder}; else cp -a {path} {place}; fi")

    def _workdir(self, rest: str, stage: Stage) -> None:
        stage.folder = rest
        self.inside(f"mkdir -p {stage.root}{rest}")

    def _user(self, rest: str, stage: Stage) -> None:
        stage.user = rest

    def _volume(self, rest: str, stage: Stage) -> None:
        stage.volumes = json.loads(rest)

    def _expose(self, rest: str, stage: Stage) -> None:
        """Documentation."""

    def _healthcheck(self, rest: str, stage: Stage) -> None:
        stage.health = json.loads(rest.partition("CMD ")[2])

    def _cmd(self, rest: str, stage: Stage) -> None:
        stage.command = json.loads(rest)


@contextmanager
def built(dockerfile: Path, **arguments: str) -> Iterator[Image]:
    """The image until the block ends."""
    with subprocess.Popen(
        ["unshare", "--mount", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        holder.stdin.write(b"x")  # it comes back from within the namespace
        holder.stdin.flush()
        holder.stdout.read(1)
        try:
            image = Image(holder.pid, arguments)
            image.build(dockerfile)
            yield image
        finally:
            holder.kill()
