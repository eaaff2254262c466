"""Voice cloning: encoding of references in one worker thread, and the stored voices."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from app import metrics
from app.cloning.encoder import EncodedReference, ReferenceEncoder
from app.cloning.store import ClonedVoice, VoiceStore, voice_name
from app.config.profiles import Profile
from app.errors import (
    CloningNotSupported,
    CloningUnavailable,
    DeadlineExceeded,
    EmptyInput,
    InputTooLong,
    LoadError,
    Overloaded,
    VoiceExists,
)
from app.process_time import ProcessTimeout
from app.text.clean import clean
from app.text.prompt import VoicePrompt

MAX_TEXT_CHARACTERS = 1000  # of a reference's transcript; a reference lasts some seconds
MAX_WAITING = 8  # references, including the one in progress
RETRY_AFTER_S = 5

log = logging.getLogger(__name__)


class Cloner:
    """Encodes uploads as references and manages the stored voices."""

    def __init__(
        self, profile: Profile, encoder: ReferenceEncoder, store: VoiceStore, limit_s: float
    ) -> None:
        """`limit_s`: time limit of a reference, including its time in the queue."""
        self.store = store
        self._profile = profile
        self._encoder = encoder
        self._limit_s = limit_s
        # The thread starts with its first job.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="clone")
        self._waiting = 0
        self._worker_lock = asyncio.Lock()  # held while the thread works, even after a cancellation

    async def start(self) -> None:
        """Load the stored voices. The encoder is loaded at its first use.

        Raises:
            LoadError: the folder of the voices cannot be used.
        """
        if self._profile.clone_prompt is not None:
            await asyncio.to_thread(self.store.load)

    def close(self) -> None:
        """Cancel queued references. The thread finishes the one in progress."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._encoder.close()

    def find(self, name_or_id: str | None) -> VoicePrompt | None:
        """Return the stored voice with this id or name, or None for any other voice."""
        if name_or_id is None or self._profile.voices.knows(name_or_id):
            return None
        voice = self.store.find(name_or_id)
        return None if voice is None else VoicePrompt(voice.reference_text, voice.codes)

    async def reference(self, audio: bytes, text: str) -> VoicePrompt:
        """Encode a reference for a single request.

        Raises:
            CloningNotSupported: the model cannot clone voices.
            RequestError: the file or its transcript is invalid.
            Overloaded: too many references wait.
            DeadlineExceeded: the reference took longer than `limit_s`.
            CloningUnavailable: the encoder cannot be loaded, or the decoder process not started.
        """
        self.check()
        transcript = _clean_transcript(text)
        return VoicePrompt(transcript, (await self._encode(audio)).codes)

    async def add(self, name: str, audio: bytes, text: str) -> ClonedVoice:
        """Encode a reference and store the voice. Raises as `reference` and `VoiceStore.add` do."""
        self.check()
        name, transcript = voice_name(name), _clean_transcript(text)
        if self._profile.voices.knows(name):
            raise VoiceExists("a voice with this name already exists", param="name")
        self.store.check(name)  # before seconds are spent on the reference
        reference = await self._encode(audio)
        voice = ClonedVoice(
            name=name,
            reference_text=transcript,
            codes=reference.codes,
            sample_s=round(reference.length_s, 3),
        )
        await asyncio.to_thread(self.store.add, voice)
        log.info("voice %s stored: %.1f s in %d codes", voice.id, voice.sample_s, len(voice.codes))
        return voice

    async def remove(self, voice_id: str) -> None:
        """Delete a stored voice. Raises as `VoiceStore.remove` does."""
        await asyncio.to_thread(self.store.remove, voice_id)
        log.info("voice %s deleted", voice_id)

    def check(self) -> None:
        """Raise CloningNotSupported if the model cannot clone voices."""
        if self._profile.clone_prompt is None:
            raise CloningNotSupported(f"the model {self._profile.name} cannot clone voices")

    async def _encode(self, audio: bytes) -> EncodedReference:
        if self._waiting >= MAX_WAITING:
            message = "too many reference recordings are queued; retry shortly"
            metrics.REFUSED.labels("uploads").inc()
            raise Overloaded(message, retry_after_s=RETRY_AFTER_S)
        self._waiting += 1
        try:
            async with ProcessTimeout(self._limit_s):
                return await self._encode_in_thread(audio)
        except TimeoutError as exc:
            raise DeadlineExceeded("the reference was not encoded in time") from exc
        except LoadError as exc:
            log.critical("cloning: %s", exc)
            message = "the voice encoder cannot be loaded; see the server log"
            raise CloningUnavailable(message) from exc
        finally:
            self._waiting -= 1

    async def _encode_in_thread(self, audio: bytes) -> EncodedReference:
        """Decode and encode a file in the worker thread.

        A cancellation in the queue drops the file. A later one kills the decoder process. If the
        encoder network runs already, the thread finishes it.
        """
        await self._worker_lock.acquire()
        decoding = self._encoder.decoding(audio)
        encoding = asyncio.get_running_loop().run_in_executor(
            self._worker, self._encoder.encode, decoding
        )
        encoding.add_done_callback(self._on_encoded)
        try:
            return await asyncio.shield(encoding)
        except asyncio.CancelledError:
            decoding.cancel()
            raise

    def _on_encoded(self, encoding: asyncio.Future[EncodedReference]) -> None:
        self._worker_lock.release()
        if not encoding.cancelled():
            encoding.exception()  # marks it as retrieved, even if the caller was cancelled


def _clean_transcript(text: str) -> str:
    """Clean the transcript of a reference for use in a prompt."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InputTooLong(
            f"reference_text is longer than {MAX_TEXT_CHARACTERS} characters",
            param="reference_text",
        )
    try:
        transcript = clean(text)
    except EmptyInput as exc:
        message = "reference_text has no letter or digit to speak"
        raise EmptyInput(message, param="reference_text") from exc
    if len(transcript) > 2 * MAX_TEXT_CHARACTERS:  # NFKC expands a character to up to 18
        message = "reference_text is too long after Unicode normalization (NFKC)"
        raise InputTooLong(message, param="reference_text")
    return transcript
