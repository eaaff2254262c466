"""Readiness of the service: loading, ready or failed, and draining at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from app.errors import Draining, NotReady

LOADING = "the model is loading"


class Readiness:
    """State of the service, with the reason for which it rejects requests.

    Loading ends with ready or failed, and only a new process repairs a failure. The service can
    drain in each of these states. A thread that loads may call `set_loading`, and a signal handler
    `drain`.
    """

    def __init__(self) -> None:
        self._state: Literal["loading", "ready", "failed"] = "loading"
        self._reason = LOADING
        self._draining = False
        self._loaded = asyncio.Event()  # set when loading has ended, with success or without
        self.on_failure: Callable[[], object] = lambda: None  # called by `fail`

    @property
    def reason(self) -> str:
        """Reason for which the service is not ready; empty if it is."""
        return self._reason

    @property
    def failed(self) -> bool:
        """True if the process must be restarted."""
        return self._state == "failed"

    @property
    def draining(self) -> bool:
        """True if the server is shutting down."""
        return self._draining

    def set_loading(self, progress: str | None = None) -> None:
        """Report the progress of loading."""
        self._state = "loading"
        self._reason = f"{LOADING}: {progress}" if progress else LOADING

    def set_retrying(self, error: str) -> None:
        """Report an error that is retried."""
        self._state = "loading"
        self._reason = f"{error}; it will be retried"

    def set_ready(self) -> None:
        """Accept requests."""
        self._state = "ready"
        self._reason = ""
        self._loaded.set()

    def fail(self, reason: str) -> None:
        """Reject all requests until the process is restarted, and call `on_failure`."""
        self._state = "failed"
        self._reason = reason
        self._loaded.set()
        self.on_failure()

    def drain(self) -> None:
        """Reject new requests at shutdown, while running ones continue."""
        self._draining = True

    def check_not_draining(self) -> None:
        """Raise Draining if the server is shutting down."""
        if self._draining:
            raise Draining("the server is shutting down", retry_after_s=1)

    def check_loaded(self) -> None:
        """Raise NotReady with the reason if the service is loading or has failed."""
        if self._state != "ready":
            raise NotReady(self._reason, retry_after_s=5)

    async def wait_until_loaded(self) -> None:
        """Wait until loading ends. Raise NotReady with the reason if it failed."""
        await self._loaded.wait()
        self.check_loaded()
