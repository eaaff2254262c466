"""POST /v1/audio/speech on real sockets: the successful answers."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncGenerator

import httpx
import numpy as np
import pytest

from app.audio.encoders import MEDIA_TYPES
from tests.fakes import UNREACHABLE, FixedEngine, ToneCodec, tone_codes, tone_spec
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests
from tests.metric_values import counted

FOR_HELLO = 410  # tokens that "Hello there." may have
CODES = tone_codes(150)


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine(CODES)) as running:
        yield running


async def test_pcm_holds_480_samples_for_each_code(served: Served) -> None:
    answer = await served.client.post(SPEECH, json=HELLO)
    assert answer.headers["content-type"] == "audio/pcm"
    assert answer.headers["x-audio-sample-rate"] == "24000"
    assert "content-length" not in answer.headers
    assert len(answer.content) == len(CODES) * 480 * 2


async def test_a_streamed_wav_says_that_its_size_is_unknown(served: Served) -> None:
    answer = await served.client.post(SPEECH, json={"input": "Hello.", "response_format": "wav"})
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.content[4:8] == answer.content[40:44] == b"\xff\xff\xff\xff"


async def test_a_whole_wav_has_exact_sizes(served: Served) -> None:
    answer = await served.client.post(
        SPEECH, json={"input": "Hello.", "response_format": "wav", "stream": False}
    )
    assert int(answer.headers["content-length"]) == len(answer.content)
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24000, 1, 2)
        assert sound.getnframes() == len(CODES) * 480


@pytest.mark.parametrize("first_s", [0.1, 0.4, 3])
@pytest.mark.parametrize("overlap_s", [0, 0.1, 2])
async def test_every_window_schedule_gives_the_whole_answers_samples(
    served: Served, first_s: float, overlap_s: float
) -> None:
    schedule = {**HELLO, "playback_speed": first_s, "playback_overlap_speed": overlap_s}
    streamed = await served.client.post(SPEECH, json={**schedule, "normalize_loudness": False})
    whole = await served.client.post(
        SPEECH, json={**HELLO, "stream": False, "normalize_loudness": False}
    )
    assert streamed.content == whole.content


async def test_the_answer_is_levelled_only_where_asked(served: Served) -> None:
    plain = await served.client.post(SPEECH, json={**HELLO, "normalize_loudness": False})
    levelled = await served.client.post(SPEECH, json={**HELLO, "normalize_loudness": True})
    rms = [
        np.sqrt(np.mean((np.frombuffer(a.content, "<i2")[24000:] / 32767) ** 2))
        for a in (plain, levelled)
    ]
    assert 20 * np.log10(rms[1]) == pytest.approx(-16, abs=1.5)
    assert abs(20 * np.log10(rms[0]) + 16) > 1.5


async def test_audio_leaves_before_the_generation_has_ended() -> None:
    engine = FixedEngine(CODES, stall_after=8)
    async with (
        serving(engine) as served,
        served.client.stream("POST", SPEECH, json=HELLO) as answer,
    ):
        chunks = answer.aiter_raw()
        first = await anext(chunks)
        assert first
        await asyncio.wait_for(
            engine.stalled.wait(), 10
        )  # it has more to say, and does not before it is let go
        engine.go_on.set()
        rest = b"".join([chunk async for chunk in chunks])
    assert len(first + rest) == len(CODES) * 480 * 2


@pytest.mark.parametrize("first_s", [0.1, 0.2, 0.4])
async def test_the_first_window_is_heard_without_the_second(first_s: float) -> None:
    engine = FixedEngine(CODES, burst=round(first_s * 50) + 1, stall_after=1)
    asked = {**HELLO, "playback_speed": first_s}
    async with (
        serving(engine) as served,
        served.client.stream("POST", SPEECH, json=asked) as answer,
    ):
        chunks = answer.aiter_raw()
        async with asyncio.timeout(10):
            assert await anext(chunks)
        engine.go_on.set()
        assert [chunk async for chunk in chunks]


@pytest.mark.fault(60)
async def test_what_has_arrived_is_heard_before_the_client_runs_dry() -> None:
    """The engine gives 2 s at once, then pauses: its pace promised more, but no client hears what
    is waited for.
    """
    engine = FixedEngine(CODES, burst=100, stall_after=1)
    async with (
        serving(engine) as served,
        served.client.stream("POST", SPEECH, json=HELLO) as answer,
    ):
        heard, chunks = 0, answer.aiter_raw()
        async with asyncio.timeout(10):
            while heard < 2 * 480 * 90:
                heard += len(await anext(chunks))
        engine.go_on.set()
        async for chunk in chunks:
            heard += len(chunk)
        assert heard == 2 * 480 * len(CODES)


async def test_long_text_is_one_continuous_answer() -> None:
    engine = FixedEngine(CODES)
    sentences = [
        f"This is sentence number {index} of a long letter to the bank." for index in range(60)
    ]
    async with serving(engine, settings=settings_for_tests(engine_urls=UNREACHABLE)) as served:
        answer = await served.client.post(SPEECH, json={**HELLO, "input": " ".join(sentences)})
    assert len(engine.prompts) > 3
    spoken = [
        prompt.removeprefix("<|im_start|>husein: ").removesuffix("<|speech_start|>")
        for prompt in engine.prompts
    ]
    assert " ".join(spoken) == " ".join(sentences)
    assert len(answer.content) == len(engine.prompts) * len(CODES) * 480 * 2


async def test_a_pause_is_exact_silence_between_two_generations() -> None:
    engine = FixedEngine(CODES)
    text = "[pause:100ms] Please hold. [pause:500ms] Thank you. [pause:250 ms]"
    async with serving(engine, settings=settings_for_tests(engine_urls=UNREACHABLE)) as served:
        body = {**HELLO, "input": text, "normalize_loudness": False}
        sound = np.frombuffer((await served.client.post(SPEECH, json=body)).content, "<i2")
    spoken = [
        prompt.removeprefix("<|im_start|>husein: ").removesuffix("<|speech_start|>")
        for prompt in engine.prompts
    ]
    assert spoken == ["Please hold.", "Thank you."]
    part = len(CODES) * 480
    lengths = (2_400, part, 12_000, part, 6_000)
    assert len(sound) == sum(lengths)
    silences = [np.abs(piece).max() for piece in np.split(sound, np.cumsum(lengths)[:-1])[::2]]
    assert silences == [0, 0, 0]


async def test_only_pauses_are_nothing_to_speak(served: Served) -> None:
    answer = await served.client.post(SPEECH, json={**HELLO, "input": "[pause:1s] ... [pause:1s]"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "empty_input")


async def test_parts_of_a_long_text_join_without_a_click() -> None:
    spec = tone_spec(samples_per_frame=450)  # a part ends within a wave
    async with serving(
        FixedEngine([500] * 80),
        ToneCodec(spec),
        settings_for_tests(engine_urls=UNREACHABLE, default_max_tokens=1_500),
    ) as served:
        body = {
            **HELLO,
            "input": "This is a sentence of a long letter. " * 40,
            "normalize_loudness": False,
        }
        sound = np.frombuffer((await served.client.post(SPEECH, json=body)).content, "<i2") / 32767
    inner = np.abs(np.diff(sound[1_000:10_000])).max()
    assert np.abs(np.diff(sound)).max() <= 1.05 * inner


async def test_sampling_comes_from_the_request_then_the_settings_then_the_profile() -> None:
    engine = FixedEngine(CODES)
    settings = settings_for_tests(engine_urls=UNREACHABLE, default_temperature=0.9)
    async with serving(engine, settings=settings) as served:
        await served.client.post(SPEECH, json={**HELLO, "top_k": 5, "seed": 7, "max_tokens": 2000})
        await good_request(served)
    asked, default = engine.samplings
    assert (asked.temperature, asked.top_k, asked.seed, asked.max_tokens) == (0.9, 5, 7, 2000)
    assert (default.temperature, default.top_k, default.seed, default.max_tokens) == (
        0.9,
        None,
        None,
        FOR_HELLO,
    )


async def test_reaching_an_asked_token_limit_is_a_good_answer() -> None:
    async with serving(FixedEngine(CODES, finish_reason="length")) as served:
        answer = await served.client.post(SPEECH, json={**HELLO, "max_tokens": 150})
    assert len(answer.content) == len(CODES) * 480 * 2


async def test_an_asked_token_limit_ends_the_answer_not_each_part_of_the_text() -> None:
    engine = FixedEngine(CODES, finish_reason="length")
    async with serving(engine, settings=settings_for_tests(engine_urls=UNREACHABLE)) as served:
        answer = await served.client.post(
            SPEECH, json={**HELLO, "input": "One sentence. " * 200, "max_tokens": 150}
        )
    assert len(engine.prompts) == 1
    assert len(answer.content) == len(CODES) * 480 * 2


async def test_the_answer_ends_in_silence_wherever_the_codec_stops() -> None:
    spec = tone_spec(samples_per_frame=450)  # a frame ends within a wave
    async with serving(FixedEngine(CODES), ToneCodec(spec)) as served:
        sound = np.frombuffer(await good_request(served), "<i2") / 32767
    assert abs(sound[-1]) < 1e-3
    assert np.abs(sound[-600:-300]).max() > 0.05


async def test_the_openapi_document_describes_the_speech_route(served: Served) -> None:
    document = (await served.client.get("/openapi.json")).json()
    answers = document["paths"]["/v1/audio/speech"]["post"]["responses"]
    assert set(answers["200"]["content"]) == {*MEDIA_TYPES, "text/event-stream"}
    assert {"400", "429", "502", "503"} <= set(answers)


async def test_requests_at_once_sound_as_one_at_a_time() -> None:
    """Staggered requests that share batches against the same windows alone: at most 1 LSB apart."""
    codec = ToneCodec()
    async with serving(FixedEngine(CODES, burst=3, gap_s=0.002), codec) as served:
        alone = np.frombuffer(await good_request(served), "<i2").astype(int)

        async def staggered(index: int) -> httpx.Response:
            await asyncio.sleep(0.01 * index)
            return await served.client.post(SPEECH, json=HELLO)

        codec.free.clear()  # until some windows wait, so that they do share a batch
        asked = [asyncio.create_task(staggered(index)) for index in range(16)]
        await served.until_waiting(4)
        codec.free.set()
        answers = await asyncio.gather(*asked)
    assert max(len(batch) for batch in codec.batches) > 1
    for answer in answers:
        assert np.abs(np.frombuffer(answer.content, "<i2").astype(int) - alone).max() <= 1


async def test_models_voices_and_operations(served: Served) -> None:
    get = served.client.get
    assert (await get("/v1/models")).json()["data"][0]["id"] == "builtin-english"
    assert (await get("/v1/models/Scicom-intl/Multilingual-TTS-1.7B-v0.1")).json()[
        "object"
    ] == "model"
    assert (await get("/v1/models/other")).json()["error"]["code"] == "model_not_found"
    assert (await get("/v1/audio/speaker")).json() == ["lark", "heron"]
    voices = (await get("/v1/audio/voices")).json()["voices"]
    assert [voice["id"] for voice in voices] == ["lark", "heron"]
    assert "alloy" in voices[0]["aliases"]
    assert voices[1]["description"] == "Lower voice"
    assert voices[1]["language"] == "en"
    assert (await get("/health")).json() == {"status": "ok"}
    assert (await get("/ready")).json() == {"status": "ready"}
    for path in ("/health", "/ready"):  # as monitors ask that want no body
        answer = await served.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    await good_request(served)
    assert "tts_requests_total" in (await get("/metrics")).text


FIRST = ("window_seconds_count", "window_seconds_sum", "audio_seconds_sum")


async def test_the_first_window_is_counted_without_the_engines_part() -> None:
    engine = FixedEngine(
        CODES, burst=10, gap_s=0.05
    )  # 21 frames for the first 0.4 s: after two gaps
    before = [counted(f"tts_first_{name}") for name in FIRST]
    async with serving(engine) as served:
        await good_request(served)
        await served.client.post(SPEECH, json={**HELLO, "stream": False})
    after = [counted(f"tts_first_{name}") for name in FIRST]
    answers, window_s, audio_s = (late - early for late, early in zip(after, before, strict=True))
    assert answers == 1
    assert 0 < window_s <= audio_s - 0.09
