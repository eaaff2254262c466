"""Places for work beside speech: so many at once, a quick no to the rest, and a share for each key."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from app.api.admission import Admission, overloaded

Kind = Literal["uploads", "texts"]
MESSAGES: dict[Kind, str] = {
    "uploads": "the server has as many uploads as it takes at once; try again shortly",
    "texts": "the server has as many texts to normalize as it takes at once; try again shortly",
}


class Places:
    """The requests of one kind that are being served. Each is also one of the requests of its key."""

    def __init__(self, kind: Kind, limit: int, admission: Admission) -> None:
        self._kind: Kind = kind
        self._limit, self._admission = limit, admission
        self.taken = 0

    @contextmanager
    def place(self, key: int | None) -> Generator[None]:
        """Hold a place for the length of the block.

        Raises:
            Overloaded: there is no place, or none for the key.
        """
        if self.taken >= self._limit:
            raise overloaded(self._kind, MESSAGES[self._kind])
        with self._admission.upload(key):
            self.taken += 1
            try:
                yield
            finally:
                self.taken -= 1
