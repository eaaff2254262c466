"""Cloning: what the routes ask for, and the one thread in which references are worked on."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from app.api.admission import overloaded
from app.clone.encoder import Recording, ReferenceEncoder
from app.clone.store import ClonedVoice, VoiceStore, voice_name
from app.errors import CloningUnavailable, DeadlineExceeded, LoadError
from app.profiles import Profile
from app.request_errors import CloningNotSupported, EmptyInput, InputTooLong, VoiceExists
from app.speech.prompt import Reference
from app.speech.text import clean
from app.standstill import Limit

MAX_TEXT_CHARACTERS = 1000  # of a reference of some seconds
MAX_WAITING = 8  # references, the one that is being worked on included
RETRY_AFTER_S = 5

log = logging.getLogger(__name__)


class Cloner:
    """Uploads to references and stored voices."""

    def __init__(
        self, profile: Profile, encoder: ReferenceEncoder, store: VoiceStore, limit_s: float
    ) -> None:
        """`limit_s`: the longest wait for a reference, the queue included."""
        self.store = store
        self._profile, self._encoder, self._limit_s = profile, encoder, limit_s
        self._worker = ThreadPoolExecutor(
            1, thread_name_prefix="clone"
        )  # its thread begins with its first job
        self._waiting = 0
        self._free = (
            asyncio.Lock()
        )  # held while the thread works, also where nobody waits for it any more

    async def start(self) -> None:
        """Read the stored voices; the encoder waits for its first use.

        Raises:
            LoadError: their folder cannot be used.
        """
        if self._profile.clone_prompt is not None:
            await asyncio.to_thread(self.store.load)

    def close(self) -> None:
        """Let go of what waits. A reference that is being worked on ends by itself."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._encoder.close()

    def find(self, asked: str | None) -> Reference | None:
        """The stored voice with that id or name; None where it is a voice of the model's own, or nobody's."""
        if asked is None or self._profile.voices.knows(asked):
            return None
        voice = self.store.find(asked)
        return None if voice is None else Reference(voice.reference_text, voice.codes)

    async def reference(self, audio: bytes, text: str) -> Reference:
        """A voice to speak with once.

        Raises:
            CloningNotSupported: the model cannot.
            RequestError: the file or its text cannot serve.
            Overloaded, DeadlineExceeded: too many wait, or it took too long.
            CloningUnavailable: the encoder cannot be loaded, or no process can be started for the file.
        """
        self.check()
        said = _said(text)
        return Reference(said, (await self._encode(audio)).codes)

    async def add(self, name: str, audio: bytes, text: str) -> ClonedVoice:
        """Keep a voice; raises what `reference` does, and what `VoiceStore.add` does."""
        self.check()
        name, said = voice_name(name), _said(text)
        if self._profile.voices.knows(name):
            raise VoiceExists("a voice of that name exists", param="name")
        self.store.check(name)  # before the work
        recording = await self._encode(audio)
        voice = ClonedVoice(
            name=name,
            reference_text=said,
            codes=recording.codes,
            sample_s=round(recording.length_s, 3),
        )
        await asyncio.to_thread(self.store.add, voice)
        log.info("voice %s stored: %.1f s in %d codes", voice.id, voice.sample_s, len(voice.codes))
        return voice

    async def remove(self, voice_id: str) -> None:
        """Forget a stored voice; raises what `VoiceStore.remove` does."""
        await asyncio.to_thread(self.store.remove, voice_id)
        log.info("voice %s deleted", voice_id)

    def check(self) -> None:
        """Raise CloningNotSupported unless the model speaks in the voice of a reference."""
        if self._profile.clone_prompt is None:
            raise CloningNotSupported(f"the model {self._profile.name} cannot clone voices")

    async def _encode(self, audio: bytes) -> Recording:
        if self._waiting >= MAX_WAITING:
            raise overloaded(
                "uploads", "too many references wait; try again shortly", RETRY_AFTER_S
            )
        self._waiting += 1
        try:
            async with Limit(self._limit_s):
                return await self._work(audio)
        except TimeoutError as exc:
            raise DeadlineExceeded("the reference took longer than its limit") from exc
        except LoadError as exc:
            log.critical("cloning: %s", exc)
            raise CloningUnavailable(
                "the voice encoder cannot be loaded; the server's log says why"
            ) from exc
        finally:
            self._waiting -= 1

    async def _work(self, audio: bytes) -> Recording:
        """Have the thread work on a file.

        Cancelled before its turn, the file is let go of. Cancelled after, its decoding is killed; a network that works
        on its sound already is not: the thread ends that.
        """
        await self._free.acquire()
        decoding = self._encoder.decoding(audio)
        working = asyncio.get_running_loop().run_in_executor(
            self._worker, self._encoder.encode, decoding
        )
        working.add_done_callback(self._worked)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            decoding.cancel()
            raise

    def _worked(self, working: asyncio.Future[Recording]) -> None:
        self._free.release()
        if not working.cancelled():
            working.exception()  # seen, also where nobody asks for it any more


def _said(text: str) -> str:
    """A reference's text as it may stand in a prompt."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InputTooLong(
            f"reference_text is longer than {MAX_TEXT_CHARACTERS} characters",
            param="reference_text",
        )
    try:
        said = clean(text)
    except EmptyInput as exc:
        raise EmptyInput(
            "reference_text holds nothing that is spoken", param="reference_text"
        ) from exc
    if len(said) > 2 * MAX_TEXT_CHARACTERS:  # one character can stand for eighteen in NFKC
        raise InputTooLong(
            "reference_text is too long once its characters are written out", param="reference_text"
        )
    return said
