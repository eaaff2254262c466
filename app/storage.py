"""Folders named by settings: creation, a write check, and atomic writes."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from app.errors import LoadError


def ensure_writable_folder(folder: Path, setting: str) -> None:
    """Create the folder if it is missing, with mode 0700, and check that it is writable (blocks).

    Raises:
        LoadError: the folder cannot be created or written; the message names the `setting`.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError) as exc:
        raise LoadError(f"{setting}={folder}: not a folder") from exc
    except OSError as exc:
        raise LoadError(f"{setting}={folder}: cannot be written ({exc.strerror})") from exc


def write_atomically(path: Path, temporary: Path, body: bytes, *, durable: bool = False) -> None:
    """Write a file atomically, with mode 0600 (blocks).

    `temporary` is the path of the temporary file, in the same folder. `durable` calls fsync before
    the rename.

    Raises:
        OSError: the write failed; the temporary file is deleted.
    """
    try:
        with open(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:  # noqa: PTH123
            file.write(body)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
