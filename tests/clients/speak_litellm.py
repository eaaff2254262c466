"""LiteLLM speaks. Run in its own environment, with one JSON object as its argument."""

from __future__ import annotations

import asyncio
import base64
import json
import sys

import openai
from litellm import aspeech


async def main(asked: dict[str, str]) -> dict[str, object]:
    model, voice = asked.get("model", "tts-1"), asked.get("voice", "alloy")
    speaking = asyncio.create_task(
        aspeech(f"openai/{model}", asked["text"], voice=voice, api_base=asked["url"], api_key=asked["key"])
    )
    if asked["action"] == "leave":
        await asyncio.wait([speaking], timeout=float(asked["after_s"]))
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        return {"left": speaking.cancelled()}
    try:
        return {"audio": base64.b64encode((await speaking).content).decode()}
    except openai.APIError as exc:  # the base of LiteLLM's own errors
        return {"error": type(exc).__name__, "message": str(exc)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
