"""Speech with LiteLLM. Runs in its own environment and reads requests line by line."""

from __future__ import annotations

import asyncio
import base64

import httpx
import openai
from conversation import converse
from litellm import aspeech


async def speak(asked: dict[str, str]) -> dict[str, object]:
    model, voice = asked.get("model", "tts-1"), asked.get("voice", "alloy")
    speaking = asyncio.create_task(
        aspeech(
            f"openai/{model}",
            asked["text"],
            voice=voice,
            api_base=asked["url"],
            api_key=asked["key"],
        )
    )
    if asked["action"] == "leave":
        await served(asked["url"])
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        return {"left": speaking.cancelled()}
    try:
        return {"audio": base64.b64encode((await speaking).content).decode()}
    except openai.APIError as exc:  # the base of LiteLLM's own errors
        return {"error": type(exc).__name__, "message": str(exc)}


async def served(url: str) -> None:
    """Return when the service is at work: LiteLLM has no stream whose first bytes would tell."""
    async with httpx.AsyncClient(trust_env=False) as client:
        while (
            "tts_requests_in_flight 1.0"
            not in (await client.get(url.replace("/v1", "/metrics"))).text
        ):
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    converse(speak)
