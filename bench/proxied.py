"""HAProxy and nginx with the configurations of deploy/, in front of local servers."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from stress_test.service import free_port

DEPLOY = Path(__file__).parents[1] / "deploy"
HAPROXY, NGINX = DEPLOY / "haproxy" / "haproxy.cfg", DEPLOY / "nginx" / "nginx.conf"
LIMIT_S = 10.0  # time limit of a start


def installed(program: str) -> bool:
    """Return True if it is in PATH or /usr/sbin, where Debian installs both."""
    return _path(program) is not None


@contextmanager
def haproxy(first: int, second: int, folder: Path, *, delayed: bool = False) -> Iterator[str]:
    """Run HAProxy in front of two ports. Yields its URL.

    `delayed` disables `option http-no-delay`.
    """
    port = free_port()
    configuration = HAPROXY.read_text()
    if delayed:
        configuration = configuration.replace("option http-no-delay", "no option http-no-delay")
    (folder / "haproxy.cfg").write_text(configuration)
    places = {
        "LISTEN": f"127.0.0.1:{port}",
        "SPEECH_1": f"127.0.0.1:{first}",
        "SPEECH_2": f"127.0.0.1:{second}",
    }
    command = [_path("haproxy") or "", "-db", "-f", str(folder / "haproxy.cfg")]
    with _running(command, port, folder, places) as url:
        yield url


@contextmanager
def nginx(first: int, second: int, folder: Path) -> Iterator[str]:
    """Run nginx in front of two ports. Yields its URL."""
    port = free_port()
    configuration = NGINX.read_text().replace("listen 8080;", f"listen 127.0.0.1:{port};")
    configuration = configuration.replace("127.0.0.1:9091 ", f"127.0.0.1:{first} ")
    configuration = configuration.replace("127.0.0.1:9092 ", f"127.0.0.1:{second} ")
    configuration = re.sub(
        r"^pid .*$", f"pid {folder}/nginx.pid;", configuration, flags=re.MULTILINE
    )
    (folder / "nginx.conf").write_text(configuration)
    command = [_path("nginx") or "", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    command += ["-g", "daemon off;"]
    with _running(command, port, folder, {}) as url:
        yield url


def _path(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def _running(
    command: list[str], port: int, folder: Path, environment: dict[str, str]
) -> Iterator[str]:
    log = folder / "proxy.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            try:
                wait(port, process)
            except RuntimeError as exc:
                raise RuntimeError(log.read_text()) from exc
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until the port accepts connections.

    Raises:
        RuntimeError: it does not within LIMIT_S, or the process ended.
    """
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s and (process is None or process.poll() is None):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"port {port} does not accept connections")


PATHS = {
    "haproxy": haproxy,
    "haproxy without http-no-delay": partial(haproxy, delayed=True),
    "nginx": nginx,
}
