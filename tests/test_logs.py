"""The log: text or JSON, one line for each request, without its text."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import httpx
import pytest

from app.errors import EngineError
from app.logs import configure
from tests.fakes import FixedEngine, ToneCodec
from tests.live_server import HELLO, SPEECH, serving, settings_for_tests

NAME = {"x-request-id": "mine"}
SECRET = "Xylophone"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def lines_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "app.api.middleware.access_log"]


def facts_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of a record, as a log collector receives them."""
    return vars(record)


async def test_an_answer_is_one_line_with_its_figures(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(FixedEngine(range(100))) as served:
        await served.client.post(SPEECH, json=HELLO | {"input": SECRET}, headers=NAME)
        await served.settle()
    (line,) = lines_of(caplog)
    facts = facts_of(line)
    assert line.levelno == logging.INFO
    assert (facts["request_id"], facts["path"], facts["status"], facts["broken"]) == (
        "mine",
        SPEECH,
        200,
        False,
    )
    assert (facts["audio_s"], facts["codec_tokens"], facts["format"]) == (2.0, 100, "pcm")
    assert facts["finish_reason"] == "stop"
    assert "retries" not in facts
    assert 0 < facts["first_audio_s"] <= facts["duration_s"]  # type: ignore[operator]
    assert "request_id=mine status=200" in line.getMessage()
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("fields", "status"), [({}, 502), ({"voice": "nobody"}, 400)])
async def test_a_failure_is_one_line_with_its_code(
    fields: dict[str, object], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(FixedEngine([], error=EngineError("failed"))) as served:
        answer = await served.client.post(SPEECH, json=HELLO | fields, headers=NAME)
    (line,) = lines_of(caplog)
    assert facts_of(line)["status"] == answer.status_code == status
    assert facts_of(line)["error"] == answer.json()["error"]["code"]
    assert line.levelno == (logging.WARNING if status >= 500 else logging.INFO)
    assert [record for record in caplog.records if "mine" in record.getMessage()] == [line]


async def test_a_broken_answer_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(
        FixedEngine([*range(100), 900, *range(50)]), ToneCodec(culprit=900)
    ) as served:
        with pytest.raises(httpx.RemoteProtocolError):
            await served.client.post(SPEECH, json=HELLO, headers=NAME)
        await served.settle()
    (line,) = lines_of(caplog)
    facts = facts_of(line)
    assert (facts["status"], facts["broken"], facts["error"], line.levelno) == (
        200,
        True,
        "codec_failed",
        logging.WARNING,
    )


KEYS = ("sk-first-1", "sk-second-2")


async def test_a_line_tells_which_key_by_its_number_and_no_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(
        FixedEngine(range(100)), settings=settings_for_tests(api_keys=KEYS)
    ) as served:
        for key in (*KEYS, "wrong"):
            await served.client.post(SPEECH, json=HELLO, headers={"authorization": f"Bearer {key}"})
        await served.settle()
    assert [facts_of(line).get("key") for line in lines_of(caplog)] == [1, 2, None]
    assert "sk-" not in caplog.text
    assert "127.0.0.1" not in "".join(line.getMessage() for line in lines_of(caplog))


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (None, "127.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("x status=200", None),
    ],
)
async def test_a_line_tells_the_clients_address_where_that_is_asked_for(
    forwarded: str | None, client: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    async with serving(
        FixedEngine(range(100)), settings=settings_for_tests(log_client_address=True)
    ) as served:
        await served.client.get("/v1/models", headers=headers)
    (line,) = lines_of(caplog)
    assert facts_of(line).get("client") == client
    assert line.getMessage().count("status=") == 1


async def test_a_proxy_that_is_not_trusted_names_nobody(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    async with serving(
        FixedEngine(range(100)), settings=settings_for_tests(log_client_address=True)
    ) as served:
        await served.client.get("/v1/models", headers={"x-forwarded-for": "203.0.113.9"})
    (line,) = lines_of(caplog)
    assert facts_of(line)["client"] == "127.0.0.1"


async def test_probes_are_not_in_the_way(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(FixedEngine(range(100))) as served:
        for path in ("/health", "/ready", "/metrics"):
            await served.client.get(path)
    assert lines_of(caplog) == []


async def test_a_path_cannot_begin_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(FixedEngine(range(100))) as served:
        await served.client.get("/v1/%0d%0aERROR%20forged" + "x" * 300)
    (line,) = lines_of(caplog)
    assert "\n" not in line.getMessage()
    assert len(line.getMessage()) < 400


def test_json_lines_are_objects(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logging.getLogger("app.api.middleware.access_log").info(
        "POST %s", SPEECH, extra={"status": 200}
    )
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("app").exception("failed")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["level"], first["logger"], first["message"], first["status"]) == (
        "INFO",
        "app.api.middleware.access_log",
        f"POST {SPEECH}",
        200,
    )
    assert first["time"] < second["time"]
    assert "ValueError: two" in second["exc_info"]
