"""Hostile uploads: recordings that crash a decoder, forms that crash a parser, and many at once."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from app.api.form import (
    MAX_BOUNDARY_BYTES,
    MAX_FIELD_BYTES,
    MAX_FIELDS,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_PADDING_BYTES,
    MAX_TYPE_CHARACTERS,
)
from app.config.settings import Settings
from tests.api.test_cloning import (
    CLONE,
    CODES,
    FIELDS,
    SAID,
    SAMPLE,
    VOICES,
    CountingEncoder,
    cloning,
)
from tests.cloning.hostile import eight_planes, of_samples
from tests.cloning.recordings import recording
from tests.cloning.test_decoding import is_running
from tests.fakes import FixedEngine
from tests.live_server import HELLO, SPEECH, Served, good_request
from tests.waiting import until

UPLOADS = Settings.model_fields["max_concurrent_uploads"].default
TYPE = "multipart/form-data; boundary=b"
FILE = (
    b'--b\r\ncontent-disposition: form-data; name="audio_sample"; filename="x"\r\n\r\n'
    + SAMPLE
    + b"\r\n"
)
END = b"--b--\r\n"


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with cloning(FixedEngine(CODES), CountingEncoder()) as running:
        yield running
        await good_request(running)


def field(name: str, value: str | bytes, *headers: str) -> bytes:
    """A part of a form."""
    value = value.encode() if isinstance(value, str) else value
    lines = "".join(f"{header}\r\n" for header in headers)
    return (
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n{lines}\r\n'.encode()
        + value
        + b"\r\n"
    )


async def send(served: Served, *parts: bytes, content_type: str = TYPE) -> httpx.Response:
    headers = {"content-type": content_type}
    return await served.client.post(VOICES, content=b"".join(parts), headers=headers)


async def speak_as(served: Served, audio: bytes) -> httpx.Response:
    return await served.client.post(CLONE, data=FIELDS, files={"reference_audio": ("x.wav", audio)})


async def store(served: Served, name: str, audio: bytes = SAMPLE) -> httpx.Response:
    data = {"name": name, "reference_text": SAID}
    return await served.client.post(VOICES, data=data, files={"audio_sample": ("x.wav", audio)})


def code_of(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["code"])


@pytest.mark.fault(44)
async def test_a_recording_that_breaks_its_decoder_is_refused_and_the_next_one_is_heard(
    served: Served,
) -> None:
    assert code_of(await speak_as(served, eight_planes())) == "reference_too_short"
    assert code_of(await speak_as(served, of_samples(40_000_000))) == "invalid_audio"
    assert (await speak_as(served, SAMPLE)).status_code == 200


@pytest.mark.fault(44)
async def test_a_decoder_that_crashes_is_a_refusal(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import os, sys; sys.stdin.buffer.readline(); os.write(1, b'R'); os.kill(os.getpid(), 11)"
    )
    with monkeypatch.context() as patch:
        patch.setattr(
            "app.cloning.decoding.child_command",
            lambda _: [sys.executable, "-I", "-S", "-c", program],
        )
        assert code_of(await speak_as(served, SAMPLE)) == "invalid_audio"
        served.service.cloner._encoder.close()  # the spare process is such a program too
    assert (await speak_as(served, SAMPLE)).status_code == 200


@pytest.mark.fault(44)
async def test_a_client_that_leaves_ends_the_decoding_of_its_recording(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    program = (
        "import pathlib, os, time; "
        f"pathlib.Path({str(begun)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    with monkeypatch.context() as patch:
        patch.setattr(
            "app.cloning.decoding.child_command",
            lambda _: [sys.executable, "-I", "-S", "-c", program],
        )
        asked = asyncio.create_task(speak_as(served, SAMPLE))
        async with asyncio.timeout(10):
            await until(lambda: begun.exists() and begun.read_text())
            asked.cancel()
            await until(lambda: not is_running(int(begun.read_text())))
        served.service.cloner._encoder.close()
    await until(lambda: not served.service.uploads.in_use)


CHARSETS = [
    "punycode",
    "PunyCode",
    '"punycode"',
    "us-ascii",
    "latin-1",
    "utf-16",
    "utf-7",
    "idna",
    "base64",
    "undefined",
]


@pytest.mark.fault(45)
@pytest.mark.parametrize("charset", CHARSETS)
async def test_a_charset_but_utf_8_is_refused_before_a_field_is_decoded(
    served: Served, charset: str
) -> None:
    texts = field("name", "a" * 100_000 + "-" + "b" * 300_000), field("reference_text", SAID)
    answer = await send(served, FILE, *texts, END, content_type=f"{TYPE}; charset={charset}")
    assert code_of(answer) == "invalid_form"
    kind = f"Content-Type: text/plain; charset={charset}"
    answer = await send(
        served, FILE, field("name", "ana", kind), field("reference_text", SAID), END
    )
    assert code_of(answer) == "invalid_form"
    named = field("_charset_", charset.strip('"'))
    answer = await send(
        served, FILE, named, field("name", "ana"), field("reference_text", SAID), END
    )
    assert code_of(answer) == "invalid_form"


@pytest.mark.fault(45)
@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"Utf-8"', "utf8"])
async def test_utf_8_may_be_named(served: Served, charset: str) -> None:
    kind = f"Content-Type: text/plain; charset={charset}"
    parts = (
        field("name", "Ana María", kind),
        field("reference_text", SAID),
        field("_charset_", charset.strip('"')),
    )
    answer = await send(served, FILE, *parts, END, content_type=f"{TYPE}; charset={charset}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == "Ana María"


@pytest.mark.fault(45)
async def test_a_field_that_is_not_in_utf_8_is_refused(served: Served) -> None:
    answer = await send(
        served, FILE, field("name", "Jos\xe9".encode("latin-1")), field("reference_text", SAID), END
    )
    assert code_of(answer) == "invalid_form"


TEXTS = field("name", "ana") + field("reference_text", SAID)
UNNAMED = b"--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n"
BREACHES = {
    "urlencoded": ("application/x-www-form-urlencoded", b"name=ana&reference_text=x"),
    "no boundary": ("multipart/form-data", FILE + TEXTS + END),
    "an empty boundary": ("multipart/form-data; boundary=", FILE + TEXTS + END),
    "a long boundary": (
        f"multipart/form-data; boundary={'b' * (MAX_BOUNDARY_BYTES + 1)}",
        (FILE + TEXTS + END).replace(b"--b", b"--" + b"b" * (MAX_BOUNDARY_BYTES + 1)),
    ),
    "a long type": (f"{TYPE}; a={'a' * MAX_TYPE_CHARACTERS}", FILE + TEXTS + END),
    "many fields": (TYPE, FILE + field("a", "") * (MAX_FIELDS + 1) + END),
    "two files": (TYPE, FILE + FILE + TEXTS + END),
    "many headers": (TYPE, FILE + TEXTS + field("a", "", *["a: b"] * MAX_HEADERS) + END),
    "a long header": (TYPE, FILE + TEXTS + field("a", "", f"a: {'b' * MAX_HEADER_BYTES}") + END),
    "a long field": (TYPE, FILE + TEXTS + field("a", b"a" * (MAX_FIELD_BYTES + 1)) + END),
    "a header without end": (TYPE, FILE + TEXTS + b"--b\r\n" + b"a" * 1_000_000),
    "a part without a name": (TYPE, FILE + TEXTS + UNNAMED + END),
    "a part without headers": (TYPE, FILE + TEXTS + b"--b\r\n\r\nx\r\n" + END),
    "blanks behind a boundary": (TYPE, FILE + TEXTS + b"--b" + b" " * MAX_PADDING_BYTES + b"\r\n"),
    "what is nearly a boundary": (
        TYPE,
        FILE + TEXTS + field("a", b"\r\n--bx" * (MAX_FIELDS + 3)) + END,
    ),
    "a preamble": (TYPE, b"x" * 1_000 + FILE + TEXTS + END),
}


@pytest.mark.fault(45)
@pytest.mark.parametrize("name", BREACHES)
async def test_a_form_beyond_a_limit_is_refused(served: Served, name: str) -> None:
    content_type, body = BREACHES[name]
    assert code_of(await send(served, body, content_type=content_type)) == "invalid_form"


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" * 1_000 + FILE + TEXTS + END,
        FILE + TEXTS + END + b"x" * 1_000_000,
        FILE + TEXTS + b"--b  \t\r\n" + field("a", "")[5:] + END,
        FILE.replace(b'filename="x"', b"filename=\"x\"; filename*=punycode''x-") + TEXTS + END,
        FILE.replace(b'filename="x"', b'filename="x"\r\nContent-Type: audio/wav; charset=binary')
        + TEXTS
        + END,
        FILE + TEXTS + field("a", b"\r\n--" * 10_000) + END,
    ],
)
async def test_a_form_within_the_limits_is_read(served: Served, body: bytes) -> None:
    answer = await send(served, body)
    assert answer.status_code == 200, answer.text


@pytest.mark.fault(45)
@pytest.mark.parametrize("name", ["seed", "speed"])
async def test_a_number_of_a_million_digits_in_a_field_is_refused(
    served: Served, name: str
) -> None:
    data = {**FIELDS, name: "9" * 1_000_000}
    answer = await served.client.post(
        CLONE, data=data, files={"reference_audio": ("x.wav", SAMPLE)}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name
    assert len(answer.content) < 1_024


@pytest.mark.fault(46)
async def test_an_upload_needs_no_temporary_file(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    audio = recording("float", 19.0, 48_000)
    assert len(audio) > 3_000_000
    assert (await store(served, "ana", audio)).status_code == 200
    assert (await speak_as(served, audio)).status_code == 200


async def begin_upload(served: Served, *headers: str, path: str = VOICES) -> asyncio.StreamWriter:
    """An upload whose body does not go on."""
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    lines = [
        f"POST {path} HTTP/1.1",
        "host: x",
        f"content-type: {TYPE}",
        "content-length: 1000000",
        *headers,
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + FILE)
    await writer.drain()
    return writer


async def until_taken(served: Served, places: int) -> None:
    await until(lambda: served.service.uploads.in_use == places, 5)


@pytest.mark.fault(46)
@pytest.mark.parametrize("path", [VOICES, CLONE])
async def test_an_upload_has_its_place_before_its_body_is_read(served: Served, path: str) -> None:
    refused = 'tts_refused_total{reason="uploads"}'
    before = await served.metric(refused)
    unfinished = [await begin_upload(served, path=path) for _ in range(UPLOADS)]
    await until_taken(served, UPLOADS)
    for answer in (await store(served, "ana"), await speak_as(served, SAMPLE)):
        assert code_of(answer, 429) == "overloaded"
        assert int(answer.headers["retry-after"]) >= 1
    assert await served.metric(refused) == before + 2
    await good_request(served)
    for writer in unfinished:
        writer.close()
    await until_taken(served, 0)
    assert (await store(served, "ana")).status_code == 200


@pytest.mark.fault(46)
async def test_the_operator_says_how_many_uploads_there_may_be() -> None:
    async with cloning(FixedEngine(CODES), CountingEncoder(), max_concurrent_uploads=1) as served:
        writer = await begin_upload(served)
        await until_taken(served, 1)
        assert code_of(await store(served, "ana"), 429) == "overloaded"
        writer.close()


@pytest.mark.fault(46)
async def test_an_unfinished_upload_is_one_of_the_requests_of_its_key() -> None:
    keys = {"api_keys": "sk-a,sk-b", "max_concurrent_requests_per_key": 1}
    async with cloning(FixedEngine(CODES), CountingEncoder(), **keys) as served:
        writer = await begin_upload(served, "authorization: Bearer sk-a")
        await until_taken(served, 1)
        for key, status in (("sk-a", 429), ("sk-b", 200)):
            headers = {"authorization": f"Bearer {key}"}
            assert (
                await served.client.post(SPEECH, json=HELLO, headers=headers)
            ).status_code == status
        writer.close()


def children() -> list[str]:
    """The processes that this one has started."""
    return [
        child
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


@pytest.mark.fault(44)
async def test_nothing_of_the_decoders_is_left_when_the_service_has_ended() -> None:
    async with cloning(FixedEngine(CODES), CountingEncoder()) as served:
        assert (await speak_as(served, SAMPLE)).status_code == 200
    assert children() == []
