"""Limit on concurrent uploads and normalizations, in all and for each API key."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from app.api.admission import Admission, overloaded

Kind = Literal["uploads", "texts"]
MESSAGES: dict[Kind, str] = {
    "uploads": "too many concurrent uploads; retry shortly",
    "texts": "too many texts are being normalized; retry shortly",
}


class SlotLimit:
    """Limit on the running requests of one kind. They also count towards the limit of their key."""

    def __init__(self, kind: Kind, limit: int, admission: Admission) -> None:
        self._kind: Kind = kind
        self._limit, self._admission = limit, admission
        self.in_use = 0

    @contextmanager
    def slot(self, key: int | None) -> Generator[None]:
        """Hold a slot until the block ends.

        Raises:
            Overloaded: all slots are in use, or all slots of the key.
        """
        if self.in_use >= self._limit:
            raise overloaded(self._kind, MESSAGES[self._kind])
        with self._admission.upload(key):
            self.in_use += 1
            try:
                yield
            finally:
                self.in_use -= 1
