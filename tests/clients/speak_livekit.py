"""Speech with LiveKit's OpenAI plugin.

Runs in its own environment and reads requests line by line.
"""

from __future__ import annotations

from conversation import converse
from livekit.agents import APIError
from livekit.agents.types import APIConnectOptions
from livekit.plugins import openai

ONE_TRY = APIConnectOptions(max_retry=0)  # in mid-stream it would start again, and then again


async def speak(asked: dict[str, str]) -> dict[str, object]:
    chosen = {name: asked[name] for name in ("voice", "model") if name in asked}
    engine = openai.TTS(base_url=asked["url"], api_key=asked["key"], **chosen)
    tried_once = {"conn_options": ONE_TRY} if asked["action"] == "break" else {}
    stream = engine.synthesize(asked["text"], **tried_once)
    samples = 0
    try:
        async for event in stream:
            samples += event.frame.samples_per_channel
            if asked["action"] == "leave":
                break
    except APIError as exc:
        return {"error": type(exc).__name__, "message": str(exc), "samples": samples}
    finally:
        await stream.aclose()
        await engine.aclose()
    return {"samples": samples, "rate_hz": engine.sample_rate}


if __name__ == "__main__":
    converse(speak)
