"""The embedded engine: English text to the built-in codec's tokens, in threads of its own."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from app.contention import busy_cores, cores
from app.engine import EngineCost, Generation, OnTokens, Sampling, TokenNumbers
from app.engine.budget import Budget, Enough
from app.engine.header import phoneme_ids
from app.engine.one_pass import OnePass
from app.engine.reader import Reader, Reading
from app.engine.voices import TOKEN_MODEL, VOICES
from app.errors import EngineError, LoadError
from app.request_errors import UnsupportedLanguage, VoiceNotFound
from app.speech.prompt import parse, render

TOKENS_PER_S = 50
PROMPT = "<|im_start|>{voice}: {text}<|speech_start|>"

SAMPLE = "Hello, how can I help you today? Please hold the line for a moment."
MOST_TOKENS = 3_072  # of a sample: far more than it has
SAMPLES = 3  # spoken at the start, to know the engine's cost
PIECES = 32  # whose cost is remembered
FIRST_DUE_S = 0.3  # after a request: what others hear already goes first, if it is due sooner


class _Answer(Budget):
    """What a request has got so far."""

    phonemes = 0

    def __init__(self, max_tokens: int, on_tokens: OnTokens) -> None:
        super().__init__(max_tokens, on_tokens)
        self._asked_s = self._first_s = time.monotonic()

    @property
    def due_s(self) -> float:
        """The moment at which a client that hears what there is in real time runs dry."""
        return (
            self._first_s + self.tokens / TOKENS_PER_S
            if self.tokens
            else self._asked_s + FIRST_DUE_S
        )

    def spend(self, numbers: TokenNumbers) -> None:
        """Pass on what there is room for; see `Budget.spend`."""
        if not self.tokens:
            self._first_s = time.monotonic()
        super().spend(numbers)


@dataclass(frozen=True, slots=True)
class Work:
    """All that the engine's thread has done."""

    busy_s: float = 0.0
    pieces: int = 0
    tokens: int = 0


class BuiltinEngine:
    """An `Engine` inside this process: one thread reads text and computes the codes, piece by piece.

    A cancelled request leaves the sentence that is being read and the piece in progress to finish.
    """

    def __init__(self, weights: Path = TOKEN_MODEL) -> None:
        """`weights`: the model's safetensors file."""
        self._reader = Reader()
        self._work: deque[Work] = deque(maxlen=PIECES)  # behind each of the last pieces
        self._model = OnePass(weights, self._reader)

    async def start(self) -> None:
        """Load the rules that read text and the model (about 1.5 s, off the event loop).

        Raises:
            LoadError: a file of weights is not there.
        """
        try:
            await self._reader.start(phoneme_ids(await asyncio.to_thread(TOKEN_MODEL.read_bytes)))
            await self._model.start()
            await self._measure()
        except OSError as exc:
            await self._reader.close()  # it may be started again
            raise LoadError(f"the embedded engine: {exc.filename} cannot be read") from exc

    def cost(self) -> EngineCost | None:
        """Return the thread's time for a second of the voice and for a piece, over the last pieces."""
        if len(self._work) < 2:
            return None
        first, last = self._work[0], self._work[-1]
        busy_s, voice_s = last.busy_s - first.busy_s, (last.tokens - first.tokens) / TOKENS_PER_S
        return EngineCost(busy_s / max(voice_s, 1e-3), busy_s / (last.pieces - first.pieces))

    async def close(self) -> None:
        """End the thread, after the sentences and the piece in progress."""
        await self._model.close()
        await self._reader.close()

    async def check(self) -> None:
        """Return when the model is loaded.

        Raises:
            EngineUnreachable: it is not.
        """
        self._model.check()

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Speak a prompt of the form `<|im_start|>lark: Hello.<|speech_start|>`; see `Engine.generate`.

        The model is deterministic: of `sampling` it uses `max_tokens` alone.

        Raises UnsupportedLanguage where nothing in the text can be read, and VoiceNotFound for a voice
        that the models do not have.
        """
        self._model.check()
        voice, text = voice_and_text(prompt)
        if voice not in VOICES:
            raise VoiceNotFound(
                f"the embedded engine has the voices {', '.join(VOICES)}", param="voice"
            )
        answer = _Answer(sampling.max_tokens, on_tokens)
        reading = await self._reader.read(text, lambda: answer.due_s)
        try:
            await self._speak(reading, voice, answer)
        except Enough:
            return Generation("length", answer.phonemes, answer.tokens)
        finally:
            reading.close()
        if not answer.phonemes:
            raise UnsupportedLanguage("the embedded voice reads English only", param="input")
        return Generation("stop", answer.phonemes, answer.tokens)

    async def _measure(self) -> None:
        """Speak a few sentences into nothing, with the other cores at work as they are under load."""
        prompt, sampling = (
            render(PROMPT, voice=VOICES[0], text=SAMPLE),
            Sampling(max_tokens=MOST_TOKENS),
        )
        with busy_cores(cores() - 1):
            for _ in range(SAMPLES):
                await self.generate(prompt, sampling, lambda _: None)

    async def _speak(self, reading: Reading, voice: str, answer: _Answer) -> None:
        while (pieces := await reading.sentence()) is not None:
            for piece in pieces:
                answer.phonemes += len(piece.ids)
                before = answer.tokens
                await self._model.speak(piece, voice, answer.spend, answer.due_s)
                self._note(answer.tokens - before)

    def _note(self, tokens: int) -> None:
        """Take note of a piece that has been spoken."""
        last = self._work[-1] if self._work else Work()
        self._work.append(Work(self._reader.busy_s, last.pieces + 1, last.tokens + tokens))


def voice_and_text(prompt: str) -> tuple[str, str]:
    """What stands in a prompt; the text may hold anything, the marks of a prompt as well.

    Raises:
        EngineError: a prompt of another form.
    """
    try:
        found = parse(PROMPT, prompt)
    except ValueError as exc:
        raise EngineError(f"the embedded engine takes prompts as {PROMPT} only") from exc
    return found["voice"], found["text"]
