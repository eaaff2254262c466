from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.vllm.sse import MAX_LINE_BYTES, Event, EventStream, Usage
from app.errors import EngineError, EngineProtocolError, EngineTruncated
from tests.engine.scripted import GOOD, choice, event, events
from tests.timing import Repeated, assert_linear


def read(data: bytes) -> list[Event]:
    stream = EventStream()
    return stream.feed(data) + stream.finish()


def test_a_completion_of_vllm() -> None:
    found = read(b"".join(events([5, 6])))
    assert found == [
        Event("<|s_5|>", [265], None, None),
        Event("<|s_6|>", [266], None, None),
        Event("", [257], "stop", None),
        Event("", None, None, Usage(9, 3)),
    ]


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    "data",
    [
        b'data: {"choices":[{"text":"a"}]}\n\n',
        b'data:{"choices":[{"text":"a"}]}\n\n',
        b'data:   {"choices":[{"text":"a"}]}  \n\n',
        b'data: {"choices":[{"text":"a"}]}\r\n\r\n',
        b": keep-alive\n\nevent: message\nid: 7\nretry: 10\n"
        b'data: {"choices":[{"text":"a"}]}\n\n:\n\n',
        b'data:\n\ndata: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\n',
        b'data: {"choices":[{"text":"a"}]}',
        b'data: {"choices":[{"text":"a","token_ids":null,"finish_reason":null}],"usage":null}\n\n',
    ],
    ids=[
        "plain",
        "no space",
        "spaces",
        "CRLF",
        "other fields",
        "empty data",
        "no line end",
        "nulls",
    ],
)
def test_what_streams_may_look_like(data: bytes) -> None:
    assert read(data) == [Event("a")]


@pytest.mark.fault(13)
@pytest.mark.parametrize("text", ["a\u2028b\u2029c\x85d", "ł😀\ud7ff", 'quote " \\ and \n'])
def test_text_is_whatever_json_says(text: str) -> None:
    assert read(event(choice(text))) == [Event(text)]


@pytest.mark.fault(13)
def test_usage_without_counts() -> None:
    assert read(b'data: {"choices":[],"usage":{"prompt_tokens":"many"}}\n\n') == [
        Event("", usage=Usage(None, None))
    ]


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    "count", ["9223372036854775808", "1" + "0" * 40, "2147483648", "1.5", "true", "-1", '"9"', "[]"]
)
def test_a_count_that_cannot_be_one_is_unknown(count: str) -> None:
    usage = f'"usage":{{"prompt_tokens":{count},"completion_tokens":4}}'.encode()
    assert read(b'data: {"choices":[],' + usage + b"}\n\n") == [Event("", usage=Usage(None, 4))]


FINISHED = event(choice("<|s_1|>", None, "stop"))
USAGE = event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}})
BEHIND = {
    "more tokens": event(choice("<|s_2|>")),
    "an error": event({"error": {"message": "x"}}),
    "no JSON": b"data: {nonsense\n\n",
    "no event": b"<html>\n",
    "a line without end": b"data: " + b"x" * (MAX_LINE_BYTES + 1),
    "another finish reason": event(choice("", None, "abort")),
    "usage that is none": b'data: {"choices":[],"usage":5}\n\n',
}


@pytest.mark.fault(12)
@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@pytest.mark.parametrize("at_once", [True, False])
def test_data_behind_the_finish_reason_is_neither_speech_nor_a_failure(
    behind: bytes, at_once: bool
) -> None:
    stream, wanted = EventStream(), [Event("<|s_1|>", None, "stop"), Event("", usage=Usage(9, 3))]
    data = [FINISHED, USAGE, behind, behind]
    found = (
        stream.feed(b"".join(data)) if at_once else [e for part in data for e in stream.feed(part)]
    )
    assert found + stream.finish() == wanted


@pytest.mark.fault(12)
def test_data_behind_done_is_not_read() -> None:
    stream = EventStream()
    done = event(choice("<|s_1|>")) + b"data: [DONE]\n\n"
    assert stream.feed(done + event(choice("<|s_2|>"))) == [Event("<|s_1|>")]
    assert stream.feed(event(choice("<|s_3|>")) + b"<html>\n") == []
    assert stream.finish() == []


@pytest.mark.fault(14)
@given(st.data())
def test_any_split_gives_the_same_events(data: st.DataObject) -> None:
    whole = (
        b": hello\r\n\r\n" + b"".join(events(GOOD, per_event=3)) + event(choice("zażółć\u2028😀"))
    )
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    stream = EventStream()
    found = [
        e
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)
        for e in stream.feed(whole[start:end])
    ]
    assert found + stream.finish() == read(whole)


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html>\n<html><body>502 Bad Gateway</body></html>\n",
        b'{"choices":[{"text":"a"}]}\n',
        b"data: <html>\n\n",
        b'data: {"choices":[{"text":"a"}\n\n',
        b"data: 7\n\n",
        b"data: null\n\n",
        b"data: []\n\n",
        b"data: {}\n\n",
        b'data: {"choices":5}\n\n',
        b'data: {"choices":{"a":1}}\n\n',
        b'data: {"choices":[5]}\n\n',
        b'data: {"choices":[{}]}\n\n',
        b'data: {"choices":[{"text":null}]}\n\n',
        b'data: {"choices":[{"text":7}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":7}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":[1.5]}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":["1"]}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":[true,300]}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":[-1]}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":[2147483648]}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":[9223372036854775808]}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":[100000000000000000000000000]}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":[1e3]}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":[null]}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":{}}]}\n\n',
        b'data: {"choices":[{"text":"a","token_ids":"1"}]}\n\n',
        b'data: {"choices":[{"text":"a","finish_reason":["stop"]}]}\n\n',
        b'data: {"choices":[],"usage":5}\n\n',
        b'data: {"choices":[{"text":"\xff"}]}\n\n',
        b"\x00\x01\x02\n",
    ],
)
def test_what_is_no_completion_stream(data: bytes) -> None:
    with pytest.raises(EngineProtocolError):
        read(data)


@pytest.mark.fault(12)
@given(st.binary(max_size=200))
def test_garbage_raises_nothing_but_engine_errors(data: bytes) -> None:
    for garbage in (data, b"data: " + data):
        try:
            read(garbage)
        except EngineError:
            continue


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    "error", [{"message": "CUDA out of memory: <secret>", "code": 500}, "Unauthorized <secret>"]
)
def test_an_error_under_200_is_a_failure_and_its_text_stays_here(error: object) -> None:
    with pytest.raises(EngineError, match="failed") as caught:
        read(b"".join(events([1], finish=None)) + event({"error": error}) + b"data: [DONE]\n\n")
    assert type(caught.value) is EngineError
    assert "secret" not in str(caught.value)


@pytest.mark.fault(10)
def test_an_end_within_an_event() -> None:
    stream = EventStream()
    assert stream.feed(event(choice("a"))[:-9]) == []
    with pytest.raises(EngineTruncated):
        stream.finish()


@pytest.mark.fault(12)
@pytest.mark.parametrize("end", [b"", b'"}]}\n\n'])
@pytest.mark.parametrize("piece_bytes", [1 << 24, 65_536, 1_000])
def test_a_line_without_end(end: bytes, piece_bytes: int) -> None:
    line = b'data: {"choices":[{"text":"' + b"<" * 10_000_000 + end
    stream = EventStream()
    fed_bytes = 0
    with pytest.raises(EngineProtocolError, match="too long"):
        for start in range(0, len(line), piece_bytes):
            fed_bytes = start + piece_bytes
            stream.feed(line[start:fed_bytes])
    assert fed_bytes <= MAX_LINE_BYTES + piece_bytes


@pytest.mark.fault(12)
def test_a_line_just_short_enough() -> None:
    text = "x" * (MAX_LINE_BYTES - len(event(choice(""))) - 1)
    assert read(event(choice(text))) == [Event(text)]


@pytest.mark.fault(14)
def test_single_bytes_cost_linear_time() -> None:
    def read_bytes(text: str) -> None:
        line, stream = event(choice(text)), EventStream()
        found = [e for i in range(len(line)) for e in stream.feed(line[i : i + 1])]
        assert found == [Event(text)]

    assert_linear(read_bytes, Repeated("x", 900_000))
