# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Files of weights: in a folder, in the hub's cache, or downloaded into it with word of how far that is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, cast

import httpx
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm import tqdm

from app.errors import LoadError

Report = Callable[[str], None]
DECODER_FILES = (
    "model.safetensors",
    "pytorch_model.bin",
)  # either holds a decoder; the first is looked for first
REPORT_EVERY_S = 5.0

log = logging.getLogger(__name__)


def log_progress(line: str) -> None:
    """What is told of a download where nobody else listens."""
    log.info("%s", line)


class CodecWeightsError(LoadError):
    """Weights that cannot be found, reached or read; the message is one line that says which and why."""


@dataclass(frozen=True, slots=True)
class HubId:
    """A repository, and the revision to take: a commit, a tag or a branch; None is the newest, or what is cached."""

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubId:
        """From `owner/name` or `owner/name@revision`."""
        repository, _, revision = text.partition("@")
        return cls(repository, revision or None)

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}" if self.revision else self.repository


def find_file(weights: str, *names: str, report: Report = log_progress) -> Path:
    """The first of `names` that exists in a folder or a hub repository; `weights` itself if it is a file.

    A hub id may end in `@` and a revision. `report` is told how far a download is.

    Raises:
        CodecWeightsError: nothing there, or the hub cannot be reached.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        found = [path / name for name in names if (path / name).is_file()]
        if not found:
            raise CodecWeightsError(f"{weights}: the folder has no {' or '.join(names)}")
        return found[0]
    if path.is_absolute() or weights.startswith((".", "~")):
        raise CodecWeightsError(f"{weights}: no such file or folder")
    return fetch(HubId.parse(weights), *names, report=report)


def fetch(source: HubId, *names: str, report: Report = log_progress) -> Path:
    """The first of `names` that the cache has, or else that the repository has, downloaded.

    `report` is told every few seconds how far a download is.

    Raises:
        CodecWeightsError: no such repository, revision or file, or the hub cannot be reached.
    """
    wanted = " or ".join(names)
    try:
        # A cached copy is used without asking: an unreachable hub costs 25 s of retries otherwise.
        return _cached(source, names) or _download(source, names, report)
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError) as exc:
        raise CodecWeightsError(
            f"{source}: neither a folder nor a repository that the hub shows us"
        ) from exc
    except LocalEntryNotFoundError as exc:
        raise CodecWeightsError(
            f"{source}: the hub cannot be reached and its cache here has no {wanted}; "
            "name a local folder, or `random` to run everything but the sound"
        ) from exc
    except (httpx.HTTPError, OSError) as exc:
        raise CodecWeightsError(
            f"{source}: {wanted} cannot be downloaded ({type(exc).__name__})"
        ) from exc


def _cached(source: HubId, names: tuple[str, ...]) -> Path | None:
    found = (
        try_to_load_from_cache(source.repository, name, revision=source.revision) for name in names
    )
    return next((Path(path) for path in found if isinstance(path, str)), None)


def _download(source: HubId, names: tuple[str, ...], report: Report) -> Path:
    logging.getLogger("huggingface_hub").setLevel(
        logging.ERROR
    )  # each retry would be two lines of its own
    for name in names:
        report(f"{source}: asking the hub for {name}")
        bar = cast("Any", partial(_Progress, file_name=name, source=source, report=report))
        with suppress(RemoteEntryNotFoundError):
            return Path(
                hf_hub_download(source.repository, name, revision=source.revision, tqdm_class=bar)
            )
    raise CodecWeightsError(f"{source}: the repository has no {' or '.join(names)}")


class _Progress(tqdm):  # pyright: ignore[reportMissingTypeArgument, reportUnknownParameterType]
    """The hub's progress bar as lines for a log."""

    monitor_interval = 0  # no thread to redraw it

    def __init__(self, *, file_name: str, source: HubId, report: Report, **bar: object) -> None:
        self._said = f"{source}: {file_name}"
        # A download through the hub's newer protocol has a second bar, of bytes on the wire.
        self._report = report if file_name in str(bar.get("desc", "")) else None
        own = {"file": StringIO(), "mininterval": REPORT_EVERY_S, "miniters": 1}
        super().__init__(**cast("dict[str, Any]", {**bar, **own}))

    def display(self, *_: object, **__: object) -> None:
        """What tqdm calls as often as `mininterval` lets it, and at the end."""
        if self._report and self.total:
            self._report(f"{self._said}: {self.n / self.total:.0%} of {self.total / 1e6:,.0f} MB")
