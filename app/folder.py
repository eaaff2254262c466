"""A folder that an operator names, as the service needs it: there, writable, and of whole files."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from app.errors import LoadError


def prepare(folder: Path, setting: str) -> None:
    """Make a folder where it is not there, for the service's user alone, and write in it (blocks); leaves no file.

    Raises:
        LoadError: that cannot be done; the message names the `setting`.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError) as exc:
        raise LoadError(f"{setting}={folder}: not a folder") from exc
    except OSError as exc:
        raise LoadError(f"{setting}={folder}: cannot be written ({exc.strerror})") from exc


def write_whole(path: Path, begun: Path, body: bytes, *, durable: bool = False) -> None:
    """Write a file for the service's user alone, whole or not at all (blocks).

    Until it is whole it is `begun`, in the same folder. `durable`: it has reached the disk before it has its name.

    Raises:
        OSError: the disk does not take it; what it took is deleted.
    """
    try:
        with open(os.open(begun, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:  # noqa: PTH123
            file.write(body)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        begun.replace(path)
    except OSError:
        with suppress(OSError):
            begun.unlink()
        raise
