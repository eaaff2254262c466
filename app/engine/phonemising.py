"""An engine that takes text before one whose model takes phonemes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from app.engine import Engine, FinishReason, Generation, OnTokens, Sampling, TokenNumbers
from app.engine.budget import Budget, Enough
from app.engine.header import phoneme_ids
from app.engine.phonemes import Piece
from app.engine.reader import Reader, Reading
from app.engine.silence import SilenceTrim
from app.engine.voices import TOKEN_MODEL
from app.errors import EngineLength
from app.request_errors import UnsupportedLanguage
from app.speech.prompt import parse, render


class _Answer(Budget):
    """What a request has got so far."""

    pieces = prompt_tokens = 0

    def ended(self, finish_reason: FinishReason) -> Generation:
        """All pieces as one generation."""
        return Generation(finish_reason, self.prompt_tokens, self.tokens)


class PhonemeEngine:
    """An `Engine` of text: reads it in a thread of its own, and asks another engine once a piece.

    Prompts are as for the embedded engine, and what is heard is the same: silence is trimmed alike.
    """

    def __init__(self, engine: Engine, template: str, text_template: str) -> None:
        """`template`: what `engine` is asked, with {phonemes}; `text_template`: what this one is, with {text}."""
        self._engine = engine
        self._template = template
        self._text_template = text_template
        self._reader = Reader()
        self._symbols: dict[int, str] = {}

    async def start(self) -> None:
        """Load the rules that read text (about 0.5 s, off the event loop), and start the other engine."""
        ids = phoneme_ids(await asyncio.to_thread(TOKEN_MODEL.read_bytes))
        self._symbols = {number: symbol for symbol, number in ids.items()}
        await self._reader.start(ids)
        await self._engine.start()

    async def close(self) -> None:
        """Close the other engine and end the thread, after the sentences that it may be reading."""
        await self._engine.close()
        await self._reader.close()

    async def check(self) -> None:
        """Return when the other engine can take requests; raise EngineError when it cannot."""
        await self._engine.check()

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Speak a prompt in text, piece by piece; see `Engine.generate`.

        Raises UnsupportedLanguage where nothing in the text can be read, and EngineLength when a
        piece takes longer than speech can.
        """
        asked = parse(self._text_template, prompt)
        answer = _Answer(sampling.max_tokens, on_tokens)
        reading = await self._reader.read(asked["text"])
        try:
            await self._speak(reading, asked["voice"], sampling, answer)
        except Enough:
            return answer.ended("length")
        finally:
            reading.close()
        if not answer.pieces:
            raise UnsupportedLanguage("this voice reads English only", param="input")
        return answer.ended("stop")

    async def _speak(
        self, reading: Reading, voice: str, sampling: Sampling, answer: _Answer
    ) -> None:
        while (pieces := await reading.sentence()) is not None:
            for piece in pieces:
                answer.pieces += 1
                limited = replace(sampling, max_tokens=piece.longest_frames)
                trim = SilenceTrim(ends_sentence=piece.ends_sentence)

                def hear(numbers: TokenNumbers, trim: SilenceTrim = trim) -> None:
                    answer.spend(trim.feed(numbers))

                part = await self._engine.generate(self._prompt(voice, piece), limited, hear)
                answer.prompt_tokens += part.prompt_tokens or 0
                if part.finish_reason == "length":
                    raise EngineLength("the engine did not come to the end of a sentence")

    def _prompt(self, voice: str, piece: Piece) -> str:
        """What the other engine is asked: phonemes without the pads around them."""
        return render(
            self._template,
            voice=voice,
            phonemes="".join(self._symbols[number] for number in piece.ids[1:-1]),
        )
