"""The embedded engine: English text to the built-in codec's tokens, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors.torch import load

from app.engine import Generation, OnTokens, Sampling
from app.engine.header import metadata_of
from app.engine.nar import FRAMES_PER_UNIT, TokenModel
from app.engine.phonemes import Phonemiser, Piece
from app.errors import EngineError, EngineUnreachable, UnsupportedLanguage

WEIGHTS = Path(__file__).parents[1] / "voices" / "token_model.safetensors"
# The model opens every piece with 260 to 320 ms of silence. Kept is what lets the sound begin about
# 90 ms in; with the 300 to 460 ms at the end, a pause between sentences lasts about 0.5 s. Inside a
# sentence the last mark and pad are left out, about 200 of 400 to 580 ms of silence.
LEAD_FRAMES = 7
# What reading arbitrary text with somebody else's rules can raise, and torch's and the executor's RuntimeError.
FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)

Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence's codec codes, and how many phonemes they came from."""

    codes: list[int]
    phonemes: int


class Speaker:
    """Text to codes, one sentence at a time; belongs to one thread."""

    def __init__(self, model: TokenModel, phonemiser: Phonemiser) -> None:
        self._model = model
        self._phonemiser = phonemiser

    def sentences(self, text: str) -> list[str]:
        """Text in the pieces that `speak` takes."""
        return self._phonemiser.sentences(text)

    @torch.inference_mode()
    def speak(self, sentence: str) -> Spoken:
        """The sentence's codes; none where there is nothing to say."""
        pieces = self._phonemiser.pieces(sentence)
        codes = [code for piece in pieces for code in self._codes(piece)]
        return Spoken(codes, sum(len(piece.ids) for piece in pieces))

    def _codes(self, piece: Piece) -> list[int]:
        codes, units = self._model(torch.tensor(piece.ids))
        lead_frames = int(units[0].item() * FRAMES_PER_UNIT)
        tail_frames = 0 if piece.ends_sentence else int(units[-2:].sum().item() * FRAMES_PER_UNIT)
        return cast(list[int], codes[max(0, lead_frames - LEAD_FRAMES) : len(codes) - tail_frames].tolist())


def load_speaker() -> Speaker:
    """Load the token model and the rules that read text, and speak once so that nothing is cold."""
    weights = WEIGHTS.read_bytes()
    model = TokenModel()
    model.load_state_dict(load(weights))
    speaker = Speaker(model.float().eval(), Phonemiser(phoneme_ids(weights)))
    speaker.speak("Ready.")
    return speaker


def phoneme_ids(weights: bytes) -> dict[str, int]:
    """The phoneme table in the header of the token model's file."""
    return cast(dict[str, int], json.loads(metadata_of(weights)["phonemes"]))


class BuiltinEngine:
    """An `Engine` inside this process.

    One thread computes for all requests. A request never has more than one sentence in its queue,
    so requests take turns sentence by sentence, and a cancelled one leaves nothing behind but the
    sentence in progress (about 20 ms).
    """

    def __init__(self) -> None:
        self._worker: ThreadPoolExecutor | None = None
        self._speaker: Speaker | None = None

    async def start(self) -> None:
        """Load the voice (about 1.5 s, off the event loop)."""
        worker = ThreadPoolExecutor(1, "builtin-engine", initializer=partial(torch.set_num_threads, 1))
        self._worker = worker
        self._speaker = await asyncio.get_running_loop().run_in_executor(worker, load_speaker)

    async def close(self) -> None:
        """End the thread, after the sentences already in its queue."""
        worker, self._worker, self._speaker = self._worker, None, None
        if worker is not None:
            await asyncio.get_running_loop().run_in_executor(None, worker.shutdown)

    async def check(self) -> None:
        """Return when the voice is loaded.

        Raises:
            EngineUnreachable: it is not.
        """
        self._loaded()

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Speak `prompt`, plain English, calling `on_tokens` once a sentence; see `Engine.generate`.

        Raises UnsupportedLanguage where nothing in it can be read.

        The answer depends on the text alone: of `sampling` only `max_tokens` means something here.
        """
        speaker = self._loaded()
        phonemes = completed = 0
        for sentence in await self._run(speaker.sentences, prompt):
            spoken = await self._run(speaker.speak, sentence)
            codes = spoken.codes[: sampling.max_tokens - completed]
            phonemes += spoken.phonemes
            completed += len(codes)
            if codes:
                on_tokens(codes)
            if len(codes) < len(spoken.codes):
                return Generation("length", phonemes, completed)
        if not completed:
            raise UnsupportedLanguage("the embedded voice reads English only", param="input")
        return Generation("stop", phonemes, completed)

    def _loaded(self) -> Speaker:
        if self._speaker is None:
            raise EngineUnreachable("the embedded engine is not loaded")
        return self._speaker

    async def _run(self, work: Callable[[Argument], Result], argument: Argument) -> Result:
        if self._worker is None:
            raise EngineUnreachable("the embedded engine is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work, argument)
        except FAILURES as exc:
            raise EngineError("the embedded engine could not read this text") from exc
