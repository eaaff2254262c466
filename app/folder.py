"""A folder that an operator names, as the service needs it: there, and writable."""

from __future__ import annotations

import tempfile
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
