"""The embedded one-pass model: a piece at a time, in the reader's thread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load

from app.engine import OnTokens
from app.engine.nar import FRAMES_PER_UNIT, TokenModel
from app.engine.phonemes import Piece
from app.engine.reader import Reader
from app.engine.voices import padded
from app.errors import EngineUnreachable

# The model opens every piece with 260 to 320 ms of silence. Kept is what lets the sound begin about
# 90 ms in; with the 300 to 460 ms at the end, a pause between sentences lasts about 0.5 s. Inside a
# sentence the last mark and pad are left out, about 200 of 400 to 580 ms of silence.
LEAD_FRAMES = 7


class OnePass:
    """The one-pass model in the reader's thread, which runs the piece with the earliest deadline first.

    A piece takes 20 to 30 ms, and its codes arrive all at once.
    """

    def __init__(self, weights: Path, reader: Reader) -> None:
        self._weights = weights
        self._reader = reader
        self._model: TokenModel | None = None

    async def start(self) -> None:
        """Load the weights, and speak once so that nothing is cold; the reader must have started."""
        self._model = await self._reader.run(load_model, self._weights)

    async def close(self) -> None:
        """Speak no more."""
        self._model = None

    def check(self) -> None:
        """Return when the model is loaded; raise EngineUnreachable when it is not."""
        self._loaded()

    async def speak(self, piece: Piece, voice: str, on_codes: OnTokens, due_s: float) -> None:
        """Call `on_codes` on the event loop with the codes of a piece.

        `due_s` is the time at which the client's buffer runs empty, on the clock of `time.monotonic()`.

        Raises:
            EngineError: the model failed, or is closed.
        """
        model = self._loaded()
        voiced = replace(piece, ids=padded(piece.ids, voice))
        on_codes(await self._reader.run(lambda part: codes_of_piece(model, part), voiced, due_s))

    def _loaded(self) -> TokenModel:
        if self._model is None:
            raise EngineUnreachable("the embedded engine is not loaded")
        return self._model


def load_model(weights: Path) -> TokenModel:
    """The one-pass model in a file, for one thread; the caller's own arithmetic stays on one as well."""
    torch.set_num_threads(1)
    model = TokenModel()
    model.load_state_dict(load(weights.read_bytes()))
    model.float().eval()
    codes_of_piece(model, Piece([0] * 9, ends_sentence=True))
    return model


@torch.inference_mode()
def codes_of_piece(model: TokenModel, piece: Piece) -> list[int]:
    """A piece's codes, without the silence that is too much."""
    codes, units = model(torch.tensor(piece.ids))
    lead_frames = int(units[0].item() * FRAMES_PER_UNIT)
    tail_frames = 0 if piece.ends_sentence else int(units[-2:].sum().item() * FRAMES_PER_UNIT)
    return cast(
        list[int], codes[max(0, lead_frames - LEAD_FRAMES) : len(codes) - tail_frames].tolist()
    )
