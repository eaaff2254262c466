"""Whether English rules may read a text: Latin letters, and no more Malay words than English ones."""

from __future__ import annotations

import re

# Letters of other scripts; the gaps hold punctuation, Latin Extended Additional and emoji.
_OTHER_SCRIPT = re.compile(
    r"(?!\d)[\u0370-\u1cff\u1f00-\u1fff\u2c80-\u2dff\u2e80-\ua71f\ua800-\uaaff\uabc0-\ud7ff\uf900-\ufaff"
    r"\ufb1d-\ufdff\ufe70-\ufefc\U00010000-\U0001efff\U00020000-\U0003ffff]"
)
_WORD = re.compile(r"[a-z]+")
_MALAY = frozenset(
    {"yang", "dan", "di", "ke", "dari", "untuk", "dengan", "pada", "kepada", "daripada", "dalam", "oleh", "ini", "itu"}
    | {"saya", "anda", "kami", "kita", "mereka", "dia", "adalah", "ialah", "akan", "telah", "sudah", "belum", "tidak"}
    | {
        "bukan",
        "boleh",
        "sila",
        "tekan",
        "hubungi",
        "jumlah",
        "baki",
        "nombor",
        "hari",
        "bulan",
        "tahun",
        "pukul",
        "jam",
    }
    | {"atau", "jika", "sahaja", "lagi", "juga", "ada", "tiada", "perlu", "mahu", "berapa", "bayaran", "sebanyak"}
)
_ENGLISH = frozenset(
    {"the", "a", "an", "and", "or", "of", "to", "in", "on", "at", "for", "from", "by", "with", "is", "are", "was", "be"}
    | {
        "i",
        "you",
        "your",
        "we",
        "our",
        "my",
        "me",
        "it",
        "this",
        "that",
        "will",
        "can",
        "may",
        "not",
        "no",
        "have",
        "has",
    }
    | {"please", "call", "press", "number", "pay", "if", "as", "do", "how", "what", "when", "sir", "madam", "thank"}
)


def is_english(text: str) -> bool:
    """A guess for a whole text; one without any word of either language counts as English."""
    if not text.isascii() and _OTHER_SCRIPT.search(text):
        return False
    words = _WORD.findall(text.lower())
    return sum(word in _MALAY for word in words) <= sum(word in _ENGLISH for word in words)
