"""Traces: the stages of a request below its span, no spans unless sampled, and the export."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from app.config.profiles import TokenSyntax
from app.engine.vllm.client import VllmEngine
from tests.engine.scripted import ScriptedEngine
from tests.fakes import FixedEngine, ToneCodec
from tests.live_server import HELLO, SPEECH, serving

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
EXPORTER = InMemorySpanExporter()


@pytest.fixture(autouse=True, scope="module")
def exporting() -> None:
    """Set a provider without effect on other tests: OpenTelemetry keeps the process's first."""
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF))
    provider.add_span_processor(SimpleSpanProcessor(EXPORTER))
    trace.set_tracer_provider(provider)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    EXPORTER.clear()
    yield EXPORTER


def named(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def parent(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def span_id(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


async def test_a_request_tells_how_long_each_stage_took(spans: InMemorySpanExporter) -> None:
    async with serving(FixedEngine(range(100))) as served:
        (await served.client.post(SPEECH, json=HELLO, headers=SAMPLED)).raise_for_status()
        await served.settle()
    found = named(spans)
    request = found[f"POST {SPEECH}"]
    assert f"{request.get_span_context().trace_id:032x}" == TRACE_ID
    assert {parent(found[name]) for name in ("normalise", "engine", "decode", "decode.wait")} == {
        span_id(request)
    }
    assert parent(found["engine.first_token"]) == span_id(found["engine"])
    assert [event.name for event in request.events] == ["first_byte"]
    attributes = request.attributes or {}
    assert (attributes["speech.audio_s"], attributes["speech.codec_tokens"]) == (2.0, 100)


async def test_stages_lie_within_their_request_and_follow_each_other(
    spans: InMemorySpanExporter,
) -> None:
    async with serving(FixedEngine(range(100), gap_s=0.01)) as served:
        (await served.client.post(SPEECH, json=HELLO, headers=SAMPLED)).raise_for_status()
        await served.settle()
    found, windows = (
        named(spans),
        [span for span in spans.get_finished_spans() if span.name == "decode"],
    )
    request = found[f"POST {SPEECH}"]
    assert len(windows) > 1
    for span in spans.get_finished_spans():
        assert request.start_time <= span.start_time <= span.end_time <= request.end_time  # type: ignore[operator]
    first = min(windows, key=lambda span: span.start_time or 0)
    assert found["engine.first_token"].end_time <= first.end_time <= request.events[0].timestamp  # type: ignore[operator]


async def test_no_span_holds_the_text(spans: InMemorySpanExporter) -> None:
    async with serving(FixedEngine(range(100))) as served:
        await served.client.post(
            SPEECH, json={**HELLO, "input": "My secret is Xylophone."}, headers=SAMPLED
        )
        await served.settle()
    assert spans.get_finished_spans()
    assert not any("ylophone" in span.to_json() for span in spans.get_finished_spans())


async def test_a_failure_is_marked(spans: InMemorySpanExporter) -> None:
    async with serving(FixedEngine(range(100)), ToneCodec(culprit=50)) as served:
        answer = await served.client.post(SPEECH, json={**HELLO, "stream": False}, headers=SAMPLED)
        assert answer.status_code == 500
    assert not named(spans)[f"POST {SPEECH}"].status.is_ok


@pytest.mark.parametrize("headers", [{}, {"traceparent": SAMPLED["traceparent"][:-1] + "0"}])
async def test_nothing_is_recorded_of_a_request_that_is_not_sampled(
    spans: InMemorySpanExporter, headers: dict[str, str]
) -> None:
    async with serving(FixedEngine(range(100))) as served:
        (await served.client.post(SPEECH, json=HELLO, headers=headers)).raise_for_status()
    assert spans.get_finished_spans() == ()


async def test_probes_are_not_traced(spans: InMemorySpanExporter) -> None:
    async with serving(FixedEngine(range(100))) as served:
        for path in ("/health", "/ready", "/metrics"):
            await served.client.get(path, headers=SAMPLED)
    assert spans.get_finished_spans() == ()


async def test_the_engine_is_told_the_trace(spans: InMemorySpanExporter) -> None:
    async with ScriptedEngine([]) as fake:
        engine = VllmEngine(
            fake.url,
            "tiny",
            TokenSyntax(prefix="<|s_", suffix="|>", first_code_number=0, codes_per_frame=1),
        )
        async with serving(engine) as served:
            await served.client.post(SPEECH, json=HELLO, headers=SAMPLED)
            await served.client.post(SPEECH, json=HELLO)
        found = named(spans)
        told, untold = [request.headers for request in fake.requests if request.method == "POST"]
    assert told["traceparent"] == f"00-{TRACE_ID}-{span_id(found['engine']):016x}-01"
    assert "traceparent" not in untold
    assert parent(found["engine.connect"]) == span_id(found["engine"])
