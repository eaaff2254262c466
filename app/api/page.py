"""The page at /: a few files from app/page, and what the page has to know of this server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app.api.schemas import SpeechRequest
from app.api.service import Service, service_of
from app.speech.encoders import CONTENT_TYPES

FOLDER = Path(__file__).parents[1] / "page"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file of the page, as it is sent."""

    content: bytes
    headers: dict[str, str]


class Limits(BaseModel):
    """What the page offers to choose from; the voices come from /v1/audio/voices."""

    model: str
    voice: str
    formats: tuple[str, ...]
    input_characters: int
    slowest: float
    fastest: float


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    """The page."""
    return _answer(request, "index.html")


@router.get("/page/limits")
async def limits(service: Annotated[Service, Depends(service_of)]) -> Limits:
    """What this server accepts; open to everyone, so that the page can ask for a key where one is needed."""
    speed = SpeechRequest.model_json_schema()["properties"]["speed"]
    return Limits(
        model=service.profile.model,
        voice=service.profile.voices.default,
        formats=tuple(CONTENT_TYPES),
        input_characters=service.settings.max_input_characters,
        slowest=speed["minimum"],
        fastest=speed["maximum"],
    )


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def file(request: Request, name: str) -> Response:
    """A file that the page loads."""
    return _answer(request, name)


@cache
def _files() -> dict[str, File]:
    return {path.name: _read(path) for path in FOLDER.iterdir() if path.suffix in KINDS}


def _read(path: Path) -> File:
    content = path.read_bytes()
    headers = {
        "content-type": KINDS[path.suffix],
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",  # kept, but asked for again: a new version is seen at once
        "etag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
    }
    return File(content, headers)


def _answer(request: Request, name: str) -> Response:
    """The file, or 304 where the client has it; names are looked up, never joined to a path."""
    found = _files().get(name)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    known = request.headers.get("if-none-match", "").replace(
        "W/", ""
    )  # a proxy that compresses weakens the tag
    if found.headers["etag"] in [tag.strip() for tag in known.split(",")]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=found.headers)
    return Response(found.content, headers=found.headers)
