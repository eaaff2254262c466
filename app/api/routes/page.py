"""Routes of the page at /, its files in app/page, and the values that its form offers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.api.schemas import SpeechRequest
from app.api.service import Service, service_of
from app.audio.encoders import CONTENT_TYPES
from text_normaliser.detect import Language

FOLDER = Path(__file__).absolute().parents[2] / "page"
# Python's own table depends on its version and on the system's mime.types.
FILE_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # stored but revalidated, so that a new version is used at once
}
router = APIRouter(include_in_schema=False)


class PageFiles(StaticFiles):
    """Static files with the security headers of the page."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return the file, or 304 if the client has it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        if kind := FILE_TYPES.get(Path(full_path).suffix):
            response.headers["content-type"] = kind
        return response


# Links are followed, because some installers link the files of a package (uv with symlinks).
FILES = PageFiles(directory=FOLDER, follow_symlink=True)


class Limits(BaseModel):
    """Values that the form offers. The page loads the voices from /v1/audio/voices."""

    model: str
    voice: str
    formats: tuple[str, ...]
    languages: tuple[str, ...]
    normalize: bool  # default of the request field
    input_characters: int
    slowest: float
    fastest: float
    clones: bool  # True if the model can clone voices
    reference_s: float  # longest recording of a cloned voice


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    """Send the page."""
    return await FILES.get_response("index.html", request.scope)


@router.get("/page/limits")
async def limits(service: Annotated[Service, Depends(service_of)]) -> Limits:
    """Return the values of the form. Needs no API key, so that the page can ask for one."""
    speed = SpeechRequest.model_json_schema()["properties"]["speed"]
    return Limits(
        model=service.profile.model,
        voice=service.profile.voices.default,
        formats=tuple(CONTENT_TYPES),
        languages=("auto", *get_args(Language)),
        normalize=service.profile.normalize,
        input_characters=service.settings.max_input_characters,
        slowest=speed["minimum"],
        fastest=speed["maximum"],
        clones=service.profile.clone_prompt is not None,
        reference_s=service.settings.max_reference_s,
    )


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def file(request: Request, name: str) -> Response:
    """Send a file that the page loads."""
    return await FILES.get_response(name, request.scope)
