"""Parser of multipart forms: fields in UTF-8 and at most one file, in memory and within limits.

Starlette's own parser decodes a field in the charset that the client names, and some charsets take
quadratic time. It also writes files above 1 MB to TMPDIR. The parser below it, python-multipart,
takes a second per MB of text that is nearly a boundary, so such bodies are rejected before parsing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InvalidForm

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for type checkers only

MAX_FIELDS = 64
MAX_FIELD_BYTES = 4_000_000  # the highest MAX_INPUT_CHARACTERS at four bytes per character
MAX_TYPE_CHARACTERS = 1_024  # characters of the Content-Type header
MAX_BOUNDARY_BYTES = 200  # RFC 2046 allows 70
MAX_PADDING_BYTES = 64  # spaces and tabs after a boundary
MAX_HEADERS = 8  # headers of a part
MAX_HEADER_BYTES = 1_024
SLICE_BYTES = 262_144  # searched or parsed at once, while other threads wait for the GIL
UTF_8 = frozenset((b"", b"utf-8", b"utf8"))
FILE_CHARSETS = UTF_8 | {b"binary"}  # `file --mime` reports "binary" for recordings
NOT_UTF_8 = "the form must be encoded in UTF-8"
TOO_MANY_PARTS = f"the form may have one file and at most {MAX_FIELDS} fields"
CHARSET_FIELD = b"_charset_"  # HTML's field with the charset of the other fields


@dataclass(frozen=True, slots=True)
class Form:
    """Texts and files of a form, by the name of their field."""

    texts: Mapping[str, str]
    files: Mapping[str, bytes]


@dataclass(slots=True)
class _Part:
    """One part of a body, as far as it has been parsed."""

    headers: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    name: bytes = b""
    is_file: bool = False
    data: bytearray = field(default_factory=bytearray)


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type header names.

    Raises:
        InvalidForm: the body is not multipart/form-data in UTF-8.
    """
    if len(content_type) > MAX_TYPE_CHARACTERS:
        raise InvalidForm("the Content-Type is too long")
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise InvalidForm("the body must be multipart/form-data")
    _check_charset(options, UTF_8)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY_BYTES:
        raise InvalidForm(f"the form's boundary must have 1 to {MAX_BOUNDARY_BYTES} bytes")
    return boundary


def read_form(body: bytearray, boundary: bytes) -> Form:
    """Parse a complete body, which is emptied on the way. Call this function in a thread.

    Names and types of files are ignored.

    Raises:
        InvalidForm: the body is not a form, is not in UTF-8, or exceeds a limit.
    """
    _check_boundaries(body, b"--" + boundary)
    collector = _PartCollector()
    parser = MultipartParser(
        boundary,
        collector.callbacks(),
        max_header_count=MAX_HEADERS,
        max_header_size=MAX_HEADER_BYTES,
    )
    try:
        while body:
            parser.write(bytes(body[:SLICE_BYTES]))
            del body[:SLICE_BYTES]
    except FormParserError as exc:
        raise InvalidForm("the body is not a valid multipart form") from exc
    return collector.form()


class _PartCollector:
    """Collects the parts that the parser reports."""

    def __init__(self) -> None:
        self._fields: list[_Part] = []
        self._files: list[_Part] = []
        self._part = _Part()
        self._header, self._value = b"", b""

    def callbacks(self) -> MultipartCallbacks:
        """Return the callbacks for the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def form(self) -> Form:
        """Return the complete parts. Raises InvalidForm if a text is not in UTF-8."""
        for part in self._fields:
            if part.name == CHARSET_FIELD and bytes(part.data).lower() not in UTF_8:
                raise InvalidForm(NOT_UTF_8)
        try:
            texts = {part.name.decode(): part.data.decode() for part in self._fields}
            return Form(texts, {part.name.decode(): bytes(part.data) for part in self._files})
        except UnicodeDecodeError as exc:
            raise InvalidForm(NOT_UTF_8) from exc

    def _begin(self) -> None:
        self._part = _Part()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._part.headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _headers_finished(self) -> None:
        part = self._part
        _, disposition = parse_options_header(part.headers.get(b"content-disposition"))
        if not disposition.get(b"name"):
            raise InvalidForm("each part of the form must have a name")
        part.name, part.is_file = disposition[b"name"], b"filename" in disposition
        _, kind = parse_options_header(part.headers.get(b"content-type"))
        _check_charset(kind, FILE_CHARSETS if part.is_file else UTF_8)

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if not part.is_file and len(part.data) + end - start > MAX_FIELD_BYTES:
            raise InvalidForm(f"a field may have at most {MAX_FIELD_BYTES} bytes")
        part.data += memoryview(data)[start:end]

    def _end(self) -> None:
        (self._files if self._part.is_file else self._fields).append(self._part)
        if len(self._files) > 1 or len(self._fields) > MAX_FIELDS:
            raise InvalidForm(TOO_MANY_PARTS)


def _check_boundaries(body: bytearray, boundary: bytes) -> None:
    """Raise InvalidForm if there are too many boundaries, or too many blanks after one."""
    found = 0
    for start in range(0, len(body), SLICE_BYTES):
        # Includes the rest of a boundary that begins in the slice.
        stop = start + SLICE_BYTES + len(boundary) - 1
        at = body.find(boundary, start, stop)
        while at >= 0:
            found += 1
            end = at + len(boundary)
            padding = body[end : end + MAX_PADDING_BYTES]
            padded = len(padding) == MAX_PADDING_BYTES and not padding.strip(b" \t")
            if padded or found > MAX_FIELDS + 2:
                raise InvalidForm(TOO_MANY_PARTS)
            at = body.find(boundary, end, stop)


def _check_charset(options: Mapping[bytes, bytes], allowed: frozenset[bytes]) -> None:
    if options.get(b"charset", b"").lower() not in allowed:
        raise InvalidForm(NOT_UTF_8)
