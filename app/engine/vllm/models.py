"""The models that an engine lists."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

MAX_NAMES = 5  # models in a log line
MAX_NAME_CHARACTERS = 80  # characters of a model's name in a log line


class _Model(BaseModel):
    id: str


class ModelList(BaseModel):
    """The fields of GET /v1/models that this client uses."""

    data: tuple[_Model, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> ModelList:
        """Parse a body. Empty if it is no list of models, as with some gateways."""
        try:
            return cls.model_validate_json(body)
        except ValidationError:
            return cls()

    def lacks(self, model: str) -> bool:
        """True if models are listed, but not `model`."""
        return bool(self.data) and all(listed.id != model for listed in self.data)

    def __str__(self) -> str:
        names = [repr(listed.id[:MAX_NAME_CHARACTERS]) for listed in self.data[:MAX_NAMES]]
        return ", ".join([*names, *["…"] * (len(self.data) > MAX_NAMES)])
