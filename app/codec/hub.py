# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Weight files in a folder, in the cache of the Hugging Face hub, or downloaded into it."""

from __future__ import annotations

import logging
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

from app.codec import Report
from app.errors import LoadError

# File names of a decoder, preferred first.
DECODER_FILES = ("model.safetensors", "pytorch_model.bin")
REPORT_EVERY_S = 5.0  # interval of progress reports

log = logging.getLogger(__name__)


def log_progress(line: str) -> None:
    """Log the progress of a download; the default of `report`."""
    log.info("%s", line)


class CodecWeightsError(LoadError):
    """Weights that cannot be found, downloaded or read; the message is one line with the reason."""


@dataclass(frozen=True, slots=True)
class HubId:
    """A repository and its revision: a commit, a tag or a branch.

    None: the cached revision, or else the newest.
    """

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubId:
        """Parse `owner/name` or `owner/name@revision`."""
        repository, _, revision = text.partition("@")
        return cls(repository, revision or None)

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}" if self.revision else self.repository


def find_file(weights: str, *names: str, report: Report = log_progress) -> Path:
    """Return the path of the first of `names` that exists in a folder or a hub repository.

    Args:
        weights: a file, which is returned itself; a folder; or a hub id, with `@` and a revision
            if one is wanted.
        names: file names, preferred first.
        report: called with the progress of a download.

    Raises:
        CodecWeightsError: no such file, or the hub cannot be reached.
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
    """Return the path of the first of `names` in the cache, or else download it.

    `report` is called every few seconds with the progress of a download.

    Raises:
        CodecWeightsError: no such repository, revision or file, or the hub cannot be reached.
    """
    wanted = " or ".join(names)
    try:
        # Use a cached copy without a request to the hub: retries of an unreachable one take 25 s.
        return _cached(source, names) or _download(source, names, report)
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError) as exc:
        raise CodecWeightsError(
            f"{source}: neither a folder nor a repository of the hub that is accessible"
        ) from exc
    except LocalEntryNotFoundError as exc:
        raise CodecWeightsError(
            f"{source}: the hub cannot be reached and its cache here has no {wanted}; "
            "name a local folder, or `random` for a test whose audio is noise"
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
    # Its warnings are two lines per retry.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    for name in names:
        report(f"{source}: requesting {name} from the hub")
        bar = cast("Any", partial(_Progress, file_name=name, source=source, report=report))
        with suppress(RemoteEntryNotFoundError):
            return Path(
                hf_hub_download(source.repository, name, revision=source.revision, tqdm_class=bar)
            )
    raise CodecWeightsError(f"{source}: the repository has no {' or '.join(names)}")


class _Progress(tqdm):  # pyright: ignore[reportMissingTypeArgument, reportUnknownParameterType]
    """Progress bar of the hub client that reports lines for a log."""

    monitor_interval = 0  # no thread to redraw it

    def __init__(self, *, file_name: str, source: HubId, report: Report, **bar: object) -> None:
        self._label = f"{source}: {file_name}"
        # A download through the hub's newer protocol has a second bar, of the bytes transferred.
        self._report = report if file_name in str(bar.get("desc", "")) else None
        options = {"file": StringIO(), "mininterval": REPORT_EVERY_S, "miniters": 1}
        super().__init__(**cast("dict[str, Any]", {**bar, **options}))

    def display(self, *_: object, **__: object) -> None:
        """Report the progress. tqdm calls it every `mininterval` seconds, and at the end."""
        if self._report and self.total:
            self._report(f"{self._label}: {self.n / self.total:.0%} of {self.total / 1e6:,.0f} MB")
