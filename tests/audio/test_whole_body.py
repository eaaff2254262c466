"""The bytes of a response that is sent as one body."""

from __future__ import annotations

from app.audio.whole_body import BLOCK_BYTES, WholeBody


def test_the_header_comes_before_all_blocks_of_a_long_body() -> None:
    body = WholeBody()
    parts = [bytes([number]) * (BLOCK_BYTES // 2 + 1) for number in range(5)]
    for part in parts:
        body.append(part)
    body.prepend(b"header")
    assert body.size == len(b"header") + sum(map(len, parts))
    assert b"".join(body.blocks()) == b"header" + b"".join(parts)


def test_a_body_is_empty_once_its_blocks_are_read() -> None:
    body = WholeBody()
    body.append(b"audio")
    assert list(body.blocks()) == [b"audio"]
    assert b"".join(body.blocks()) == b""
