"""The deployment on Ray Serve: two replicas, one of them killed under load."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.child_service import PORTS, ROOT, Running, wait_until_ready
from tests.slow.environment import python_with
from tests.slow.paced_service import CALM, QUICK
from tests.slow.test_proxies import ALL_BYTES, SPEECH, ask, client
from tests.vllm.environment import CannotInstall

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    try:
        python = python_with("ray", "--editable", str(ROOT))
    except CannotInstall as exc:
        pytest.skip(f"Ray cannot be installed: {exc}")
    port = next(PORTS)  # above those of Ray's own processes, 10,002 to 19,999
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT}/deploy/ray",
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    environment |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_DOCKER_CPU_WARNING": "1"}
    log = tmp_path_factory.mktemp("ray") / "log.txt"
    command = [str(python), "-m", "tests.slow.ray_site"]
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output
        ) as process,
    ):
        running = Running(process, f"http://127.0.0.1:{port}", port, log)
        try:
            wait_until_ready(running, limit_s=200)
            yield running
        except BaseException:
            print(log.read_text()[-3000:])
            raise
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


async def replicas(asking: httpx.AsyncClient, count: int) -> set[int]:
    """The process ids of the replicas, once there are so many."""
    found: set[int] = set()
    async with asyncio.timeout(60):
        while len(found) < count:
            answers = await asyncio.gather(*(asking.get("/pid") for _ in range(10)))
            found |= {answer.json() for answer in answers if answer.status_code == 200}
    return found


async def test_a_stream_is_whole_and_a_broken_one_visible(site: Running) -> None:
    async with client(site.url) as asking:
        assert await ask(asking, CALM) == ALL_BYTES
        assert await ask(asking, "Please break.") == "RemoteProtocolError"


async def test_admission_is_the_applications(site: Running) -> None:
    async with client(site.url) as asking:
        running = [asyncio.create_task(ask(asking, CALM)) for _ in range(24)]
        ended = await asyncio.gather(*running)
        assert {*ended} == {ALL_BYTES, "429"}
        assert ended.count(ALL_BYTES) >= 8
        unknown = await asking.post(SPEECH, json={"input": CALM, "voice": "nobody"})
        assert unknown.json()["error"]["code"] == "voice_not_found"


async def test_a_client_that_leaves_frees_its_place(site: Running) -> None:
    async with client(site.url) as asking:
        leaving = asyncio.create_task(ask(asking, CALM))
        await asyncio.sleep(0.5)
        leaving.cancel()
    async with (
        client(site.url) as asking,
        asyncio.timeout(1.5),
    ):  # half of what the answer would have lasted
        quiet = 0
        while quiet < 10:  # each question goes to one of the replicas
            text = (await asking.get("/metrics")).text
            quiet = quiet + 1 if "tts_requests_in_flight 0.0" in text else 0


async def test_a_killed_replica_costs_its_own_streams_alone_and_is_replaced(site: Running) -> None:
    async with client(site.url) as asking:
        before = await replicas(asking, 2)
        running = [asyncio.create_task(ask(asking, CALM)) for _ in range(10)]
        await asyncio.sleep(1)
        os.kill(min(before), signal.SIGKILL)
        later = [await ask(asking, QUICK) for _ in range(20)]
        ended = await asyncio.gather(*running)
        after = await replicas(asking, 2)
    assert later == [ALL_BYTES] * 20
    assert ALL_BYTES in ended
    assert {*ended} - {ALL_BYTES} == {"RemoteProtocolError"}
    assert len(after - before) == 1
