"""The embedded one-pass model: codes for one chunk at a time, in the phonemiser's thread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.engine import OnTokens
from app.engine.embedded.nar import FRAMES_PER_UNIT, TokenModel
from app.engine.embedded.phonemes import PhonemeChunk
from app.engine.embedded.phonemiser_thread import PhonemiserThread
from app.engine.embedded.voices import add_voice_pads
from app.errors import EngineUnreachable

# Each chunk begins with 260 to 320 ms of silence and ends with 300 to 460 ms. The frames of the
# leading pad are cut to LEAD_FRAMES: speech then begins after about 90 ms, and a pause between
# sentences lasts about 0.5 s. If a chunk ends inside a sentence, the frames of its last two ids (a
# punctuation mark and the pad) are cut too: about 200 of 400 to 580 ms of silence.
LEAD_FRAMES = 7


class NarWorker:
    """The one-pass model in a `PhonemiserThread`, which runs the earliest deadline first.

    A chunk takes 20 to 30 ms, and its codes arrive all at once.
    """

    def __init__(self, folder: Path, thread: PhonemiserThread) -> None:
        self._folder = folder
        self._thread = thread
        self._model: TokenModel | None = None

    async def start(self) -> None:
        """Load the networks and run the model once to warm it up. The thread must be running."""
        self._model = await self._thread.run(load_model, self._folder)

    async def close(self) -> None:
        """Drop the model."""
        self._model = None

    def check(self) -> None:
        """Return if the model is loaded; raise EngineUnreachable if it is not."""
        self._loaded()

    async def generate(
        self, chunk: PhonemeChunk, voice: str, on_codes: OnTokens, due_s: float
    ) -> None:
        """Compute the codes of a chunk, and call `on_codes` on the event loop.

        `due_s`: time at which the client runs out of audio (time.monotonic()).

        Raises:
            EngineError: the model failed or is not loaded.
        """
        model = self._loaded()
        padded = replace(chunk, ids=add_voice_pads(chunk.ids, voice))
        codes = await self._thread.run(lambda chunk: generate_codes(model, chunk), padded, due_s)
        on_codes(codes)

    def _loaded(self) -> TokenModel:
        if self._model is None:
            raise EngineUnreachable("the embedded engine is not loaded")
        return self._model


def load_model(folder: Path) -> TokenModel:
    """Load the model, and run it once to warm it up."""
    model = TokenModel(folder)
    generate_codes(model, PhonemeChunk([0] * 9, ends_sentence=True))
    return model


def generate_codes(model: TokenModel, chunk: PhonemeChunk) -> list[int]:
    """Compute the codes of a chunk, with its silence cut as LEAD_FRAMES says."""
    codes, units = model.predict(chunk.ids)
    lead_frames = int(units[0] * FRAMES_PER_UNIT)
    tail_frames = 0 if chunk.ends_sentence else int(units[-2:].sum() * FRAMES_PER_UNIT)
    return codes[max(0, lead_frames - LEAD_FRAMES) : len(codes) - tail_frames]
