"""Cloned voices in memory, and in VOICES_FOLDER if set, so that they survive a restart.

A voice is one file, named by its id. The names of voices are user data and never part of a path.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app import metrics
from app.errors import (
    InvalidName,
    LoadError,
    RequestError,
    StoredVoiceNotFound,
    TooManyVoices,
    VoiceExists,
    VoiceNotSaved,
)
from app.storage import ensure_writable_folder, write_atomically
from app.text.clean import clean

MAX_NAME_CHARACTERS = 64
MAX_FILE_BYTES = 1_000_000  # 60 s are 3,000 codes or 20 KB
Code = Annotated[int, Field(ge=0, lt=65_536)]
_ID = re.compile(r"[0-9a-f]{32}")
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))

log = logging.getLogger(__name__)


def voice_name(name: str) -> str:
    """Return a name in canonical form (NFC, without blanks at its ends).

    Raises:
        InvalidName: the name is empty, too long, has invisible characters or looks like an id.
    """
    if len(name) > 4 * MAX_NAME_CHARACTERS:  # before NFC, which is slow on long input
        raise InvalidName(f"name is longer than {MAX_NAME_CHARACTERS} characters", param="name")
    name = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise InvalidName(f"name must have 1 to {MAX_NAME_CHARACTERS} characters", param="name")
    if any(unicodedata.category(character) in _INVISIBLE for character in name):
        raise InvalidName("name contains invisible characters", param="name")
    if _ID.fullmatch(name):
        raise InvalidName("name must not look like the id of a voice", param="name")
    return name


class ClonedVoice(BaseModel):
    """A stored voice. `reference_text` is cleaned, so prompts contain it unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(default_factory=lambda: uuid4().hex, pattern=f"^{_ID.pattern}$")
    name: str
    created: int = Field(default_factory=lambda: int(time.time()), ge=0)  # Unix time in seconds
    reference_text: str = Field(max_length=10_000)
    codes: tuple[Code, ...] = Field(min_length=1, max_length=10_000)
    sample_s: float = Field(gt=0)

    @field_validator("name", "reference_text")
    @classmethod
    def _check_canonical(cls, value: str, info: object) -> str:
        canonical = voice_name if getattr(info, "field_name", "") == "name" else clean
        try:
            same = canonical(value) == value
        except RequestError as exc:
            raise ValueError(exc.message) from exc
        if not same:
            raise ValueError("not in canonical form")
        return value


class VoiceStore:
    """Voices by name and id. `load`, `add` and `remove` block on the disk: use a thread."""

    def __init__(self, folder: Path | None, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._voices: dict[str, ClonedVoice] = {}
        self._lock = threading.Lock()

    @property
    def voices(self) -> list[ClonedVoice]:
        """All voices, oldest first."""
        return sorted(self._voices.copy().values(), key=lambda voice: (voice.created, voice.name))

    def find(self, name_or_id: str) -> ClonedVoice | None:
        """Return the voice with this id or name, or None."""
        if name_or_id in self._voices:
            return self._voices[name_or_id]
        if len(name_or_id) > 4 * MAX_NAME_CHARACTERS:
            return None
        name = unicodedata.normalize("NFC", name_or_id).strip()
        return next((voice for voice in self._voices.copy().values() if voice.name == name), None)

    def load(self) -> None:
        """Create the folder if missing and load its voices. Log the files that are not usable.

        Raises:
            LoadError: the folder cannot be created, read or written.
        """
        if self._folder is None:
            return
        ensure_writable_folder(self._folder, "VOICES_FOLDER")
        try:
            paths = sorted(self._folder.iterdir())
        except OSError as exc:
            message = f"VOICES_FOLDER={self._folder}: cannot be read ({exc.strerror})"
            raise LoadError(message) from exc
        for path in paths:
            self._load_file(path)
        self._update_metric()

    def check(self, name: str) -> None:
        """Check that a voice with this name can be added.

        Raises:
            VoiceExists: the name is taken.
            TooManyVoices: the store is full.
        """
        if self.find(name) is not None:
            raise VoiceExists("a voice with this name already exists", param="name")
        if len(self._voices) >= self._limit:
            raise TooManyVoices(
                f"this server stores at most {self._limit} voices; delete one first"
            )

    def add(self, voice: ClonedVoice) -> None:
        """Store a voice, first on the disk with an atomic write.

        Raises:
            VoiceExists, TooManyVoices: see `check`.
            VoiceNotSaved: its file cannot be written.
        """
        with self._lock:
            self.check(voice.name)
            if self._folder is not None:
                self._write(self._folder, voice)
            self._voices[voice.id] = voice
            self._update_metric()

    def remove(self, voice_id: str) -> None:
        """Delete a voice.

        Raises:
            StoredVoiceNotFound: no voice has this id.
            VoiceNotSaved: its file cannot be deleted, so the voice remains.
        """
        with self._lock:
            if voice_id not in self._voices:
                message = "no stored voice has this id; see GET /v1/audio/voices"
                raise StoredVoiceNotFound(message, param="id")
            if self._folder is not None:
                try:
                    (self._folder / f"{voice_id}.json").unlink(missing_ok=True)
                except OSError as exc:
                    log.error("the file of a voice cannot be deleted: %s", exc.strerror)
                    raise VoiceNotSaved("the voice could not be deleted") from exc
            del self._voices[voice_id]
            self._update_metric()

    def _update_metric(self) -> None:
        metrics.CLONED_VOICES.set(len(self._voices))

    def _load_file(self, path: Path) -> None:
        if path.suffix == ".tmp" and _ID.fullmatch(path.stem):
            with suppress(OSError):
                path.unlink()  # a partial file left by a crash
        if path.suffix != ".json":
            return
        try:
            voice = _read(path)
            self.check(voice.name)
        except (OSError, ValueError, RequestError) as exc:
            log.error("%s: skipped, not a usable voice (%s)", path, type(exc).__name__)
            return
        self._voices[voice.id] = voice

    def _write(self, folder: Path, voice: ClonedVoice) -> None:
        path = folder / f"{voice.id}.json"
        try:
            body = voice.model_dump_json().encode()
            write_atomically(path, path.with_suffix(".tmp"), body, durable=True)
            _sync(folder)
        except OSError as exc:
            log.error("the file of a voice cannot be written: %s", exc.strerror)
            raise VoiceNotSaved("the voice could not be saved") from exc


def _read(path: Path) -> ClonedVoice:
    """Read a voice. Raises OSError, or ValueError if the file is not a voice."""
    if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError("not a regular file, or too large")
    try:
        voice = ClonedVoice.model_validate_json(path.read_bytes())
    except ValidationError:
        raise ValueError("not a voice") from None  # pydantic's message would contain texts
    if path.name != f"{voice.id}.json":
        raise ValueError("its name is not the id of the voice")
    return voice


def _sync(folder: Path) -> None:
    """Flush a folder to the disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
