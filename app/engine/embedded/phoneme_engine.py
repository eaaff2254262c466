"""Adapter that sends text as phonemes to an engine whose model takes phonemes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from app.engine import Engine, FinishReason, Generation, OnTokens, Sampling, TokenNumbers
from app.engine.embedded.phonemes import PhonemeChunk
from app.engine.embedded.phonemiser_thread import PhonemisedText, PhonemiserThread
from app.engine.embedded.silence_trim import SilenceTrim
from app.engine.embedded.token_budget import BudgetExhausted, TokenBudget
from app.engine.embedded.voices import read_phoneme_ids
from app.errors import EngineLength, UnsupportedLanguage
from app.text.prompt import parse, render


class _RequestTokens(TokenBudget):
    """Counts of one request, over all chunks."""

    chunks = 0
    prompt_tokens = 0

    def generation(self, finish_reason: FinishReason) -> Generation:
        """Return the end of the whole request."""
        return Generation(finish_reason, self.prompt_tokens, self.tokens)


class PhonemeEngine:
    """An `Engine` that phonemises text in its own thread and sends each chunk to another engine.

    Its prompts have the form of the embedded engine's. Excess silence is dropped as there.
    """

    def __init__(self, engine: Engine, template: str, text_template: str) -> None:
        """Wrap `engine`.

        `template`: prompt for `engine`, with {phonemes}. `text_template`: prompt for this engine,
        with {text}.
        """
        self._engine = engine
        self._template = template
        self._text_template = text_template
        self._phonemiser = PhonemiserThread()
        self._symbols: dict[int, str] = {}

    async def start(self) -> None:
        """Load the phonemiser, off the event loop (about 0.5 s), and start the other engine."""
        ids = await asyncio.to_thread(read_phoneme_ids)
        self._symbols = {number: symbol for symbol, number in ids.items()}
        await self._phonemiser.start(ids)
        await self._engine.start()

    async def close(self) -> None:
        """Close the other engine, and end the thread after its queue."""
        await self._engine.close()
        await self._phonemiser.close()

    async def check(self) -> None:
        """Return if the other engine accepts requests; raise EngineError if it does not."""
        await self._engine.check()

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Generate codes for a prompt in text, chunk by chunk; see `Engine.generate`.

        Raises:
            UnsupportedLanguage: the text has no English phonemes.
            EngineLength: a chunk reached its token limit, which is longer than speech can be.
        """
        fields = parse(self._text_template, prompt)
        counts = _RequestTokens(sampling.max_tokens, on_tokens)
        phonemised = await self._phonemiser.read(fields["text"])
        try:
            await self._generate_chunks(phonemised, fields["voice"], sampling, counts)
        except BudgetExhausted:
            return counts.generation("length")
        finally:
            phonemised.close()
        if not counts.chunks:
            raise UnsupportedLanguage("this voice speaks English only", param="input")
        return counts.generation("stop")

    async def _generate_chunks(
        self, phonemised: PhonemisedText, voice: str, sampling: Sampling, counts: _RequestTokens
    ) -> None:
        while (chunks := await phonemised.sentence()) is not None:
            for chunk in chunks:
                counts.chunks += 1
                limited = replace(sampling, max_tokens=chunk.max_frames)
                trim = SilenceTrim(ends_sentence=chunk.ends_sentence)

                def on_chunk_tokens(numbers: TokenNumbers, trim: SilenceTrim = trim) -> None:
                    counts.forward(trim.feed(numbers))

                generation = await self._engine.generate(
                    self._prompt(voice, chunk), limited, on_chunk_tokens
                )
                counts.prompt_tokens += generation.prompt_tokens or 0
                if generation.finish_reason == "length":
                    raise EngineLength(
                        "the engine reached the token limit before the end of a sentence"
                    )

    def _prompt(self, voice: str, chunk: PhonemeChunk) -> str:
        """Render the other engine's prompt: phonemes without their pads."""
        return render(
            self._template,
            voice=voice,
            phonemes="".join(self._symbols[number] for number in chunk.ids[1:-1]),
        )
