"""The models that an engine lists."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

MOST_NAMED = 5
MOST_CHARACTERS = 80


class _Model(BaseModel):
    id: str


class Catalogue(BaseModel):
    """The answer of GET /v1/models, as far as it is of interest."""

    data: tuple[_Model, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> Catalogue:
        """From a body; empty where that is no such list, as some gateways' is not."""
        try:
            return cls.model_validate_json(body)
        except ValidationError:
            return cls()

    def lacks(self, model: str) -> bool:
        """Whether it lists others, but not this one."""
        return bool(self.data) and all(listed.id != model for listed in self.data)

    def __str__(self) -> str:
        named = [repr(listed.id[:MOST_CHARACTERS]) for listed in self.data[:MOST_NAMED]]
        return ", ".join([*named, *["…"] * (len(self.data) > MOST_NAMED)])
