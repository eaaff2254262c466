"""The embedded engine: English text to tokens of the built-in codec, in one thread."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from app.cpu_contention import busy_cores, cores
from app.engine import EngineCost, Generation, OnTokens, Sampling, TokenNumbers
from app.engine.embedded.nar_worker import NarWorker
from app.engine.embedded.phonemiser_thread import PhonemisedText, PhonemiserThread
from app.engine.embedded.token_budget import BudgetExhausted, TokenBudget
from app.engine.embedded.voices import VOICES, WEIGHTS, read_phoneme_ids
from app.errors import EngineError, LoadError, UnsupportedLanguage, VoiceNotFound
from app.text.prompt import parse, render

TOKENS_PER_S = 50
PROMPT = "<|im_start|>{voice}: {text}<|speech_start|>"

SAMPLE_TEXT = "Hello, how can I help you today? Please hold the line for a moment."
SAMPLE_MAX_TOKENS = 3_072  # token limit of a sample, far above its length
SAMPLES = 3  # generations at start that measure the engine's cost
AVERAGED_CHUNKS = 32  # latest chunks over which the cost is averaged
# Deadline of a request's first chunk. Streams whose buffers run empty before that go first.
FIRST_DUE_S = 0.3


class _RequestTokens(TokenBudget):
    """Counts of one request's tokens and phonemes, and the deadline of its next chunk."""

    phonemes = 0

    def __init__(self, max_tokens: int, on_tokens: OnTokens) -> None:
        super().__init__(max_tokens, on_tokens)
        self._requested_s = self._first_s = time.monotonic()

    @property
    def due_s(self) -> float:
        """Time at which a client that plays in real time runs out of audio (time.monotonic())."""
        if not self.tokens:
            return self._requested_s + FIRST_DUE_S
        return self._first_s + self.tokens / TOKENS_PER_S

    def forward(self, numbers: TokenNumbers) -> None:
        """Pass on tokens up to the limit, and record the time of the first."""
        if not self.tokens:
            self._first_s = time.monotonic()
        super().forward(numbers)


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of the engine since its start."""

    busy_s: float = 0.0  # time of its thread
    chunks: int = 0
    tokens: int = 0


class BuiltinEngine:
    """An `Engine` in this process. One thread phonemises the text and computes the codes of chunks.

    After a cancellation the thread still finishes its current sentence or chunk.
    """

    def __init__(self, weights: Path = WEIGHTS) -> None:
        """`weights`: the folder of the networks."""
        self._phonemiser = PhonemiserThread()
        self._totals: deque[Totals] = deque(
            maxlen=AVERAGED_CHUNKS
        )  # totals after each of the latest chunks
        self._model = NarWorker(weights, self._phonemiser)

    async def start(self) -> None:
        """Load the phonemiser and the model, off the event loop (about 1.5 s).

        Raises:
            LoadError: a weights file cannot be read.
        """
        try:
            await self._phonemiser.start(await asyncio.to_thread(read_phoneme_ids))
            await self._model.start()
            await self._measure()
        except OSError as exc:
            await self._phonemiser.close()  # `start` may be called again
            raise LoadError(f"the embedded engine: {exc.filename} cannot be read") from exc

    def cost(self) -> EngineCost | None:
        """Return the thread's time per second of speech and per chunk, over the latest chunks."""
        if len(self._totals) < 2:
            return None
        first, last = self._totals[0], self._totals[-1]
        busy_s = last.busy_s - first.busy_s
        voice_s = (last.tokens - first.tokens) / TOKENS_PER_S
        return EngineCost(busy_s / max(voice_s, 1e-3), busy_s / (last.chunks - first.chunks))

    async def close(self) -> None:
        """End the thread after the work in its queue."""
        await self._model.close()
        await self._phonemiser.close()

    async def check(self) -> None:
        """Return if the model is loaded.

        Raises:
            EngineUnreachable: the model is not loaded.
        """
        self._model.check()

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Generate codes for a prompt of the form `<|im_start|>lark: Hello.<|speech_start|>`.

        The model is deterministic. Of `sampling` it uses only `max_tokens`. See `Engine.generate`.

        Raises:
            UnsupportedLanguage: the text has no English phonemes.
            VoiceNotFound: the model does not have the voice.
        """
        self._model.check()
        voice, text = voice_and_text(prompt)
        if voice not in VOICES:
            raise VoiceNotFound(
                f"the embedded engine has the voices {', '.join(VOICES)}", param="voice"
            )
        counts = _RequestTokens(sampling.max_tokens, on_tokens)
        phonemised = await self._phonemiser.read(text, lambda: counts.due_s)
        try:
            await self._generate_sentences(phonemised, voice, counts)
        except BudgetExhausted:
            return Generation("length", counts.phonemes, counts.tokens)
        finally:
            phonemised.close()
        if not counts.phonemes:
            raise UnsupportedLanguage("the embedded voices speak English only", param="input")
        return Generation("stop", counts.phonemes, counts.tokens)

    async def _measure(self) -> None:
        """Generate a few samples for `cost`, with all other cores busy as they are under load."""
        prompt = render(PROMPT, voice=VOICES[0], text=SAMPLE_TEXT)
        sampling = Sampling(max_tokens=SAMPLE_MAX_TOKENS)
        with busy_cores(cores() - 1):
            for _ in range(SAMPLES):
                await self.generate(prompt, sampling, lambda _: None)

    async def _generate_sentences(
        self, phonemised: PhonemisedText, voice: str, counts: _RequestTokens
    ) -> None:
        while (chunks := await phonemised.sentence()) is not None:
            for chunk in chunks:
                counts.phonemes += len(chunk.ids)
                tokens_before = counts.tokens
                await self._model.generate(chunk, voice, counts.forward, counts.due_s)
                self._record_chunk(counts.tokens - tokens_before)

    def _record_chunk(self, tokens: int) -> None:
        """Record the totals after a chunk of `tokens` tokens."""
        last = self._totals[-1] if self._totals else Totals()
        self._totals.append(Totals(self._phonemiser.busy_s, last.chunks + 1, last.tokens + tokens))


def voice_and_text(prompt: str) -> tuple[str, str]:
    """Parse the voice and the text of a prompt. The text may contain a prompt's special tokens.

    Raises:
        EngineError: the prompt has another form.
    """
    try:
        fields = parse(PROMPT, prompt)
    except ValueError as exc:
        raise EngineError(f"the embedded engine only accepts prompts of the form {PROMPT}") from exc
    return fields["voice"], fields["text"]
