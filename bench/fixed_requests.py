"""The 50 requests of bench.identical.

They cover every format, streamed and whole, every encoding, sample rates, speeds, voices,
languages, texts, server-sent events and WebSockets. Each has a `seed`, so that the service chooses
the windows of NeuCodec by the text alone.
"""

from __future__ import annotations

from dataclasses import dataclass

SEED = 20_261_201
FORMATS = ("wav", "pcm", "mp3", "opus", "aac", "flac")
LAWS = ("pcm_mulaw", "pcm_alaw")
VOICES = ("alloy", "onyx", "nova", "echo")  # aliases that every preset has
TEXTS = {
    "greeting": "Good morning, how can I help you today?",
    "numbers": "On 3 May 2024 we sold 1,250 units at $12.50 each, 8% more than in 2023.",
    "markdown": "# Report\n\n**Sales** are *up*: see [the page](https://example.com).",
    "pauses": "Wait a moment. [pause:500ms] Here it is. [pause: 1 s] Thank you.",
    "malay": "Good morning. Harga tiket ialah RM12.50 pada 3 Mei 2024.",
    "mandarin": "Good morning. 票价是12.50元，2024年5月3日。",
    "tamil": "Good morning. விலை ரூ. 250, நாள் 3 மே 2024.",
    "abbreviations": "Dr. Smith lives at 221B Baker St., tel. 555-0123, near the 2nd gate.",
    "html": "Well done 🎉! Line one<br>and <b>line two</b> &amp; three.",
}
LONG = " ".join(
    [
        "The first train leaves the station at seven in the morning, and the last one at midnight.",
        "Between them there is a train every twenty minutes, and every ten minutes at rush hour.",
        "Please keep your ticket until you have left the platform, because it is checked there.",
        "Dogs and bicycles may travel in the last carriage, if there is enough room for them.",
        "In the dining car you can get coffee, tea and sandwiches, but no hot meals on Sundays.",
        "If you have lost something, ask at the counter beside the main entrance of the station.",
        "We wish you a pleasant journey, and thank you for travelling with us again today.",
    ]
)


@dataclass(frozen=True, slots=True)
class FixedRequest:
    """One speech request; with `utterances`, a WebSocket session that sends them in turn."""

    name: str
    fields: dict[str, object]
    utterances: tuple[str, ...] = ()


def fixed_requests() -> list[FixedRequest]:
    """Return all requests, each with a name of its own."""
    texts = list(TEXTS.values())
    plain = [*_formats(), *_encodings(), *_rates(), *_speeds(), *_events()]
    numbered = [
        {"input": texts[number % len(texts)], "voice": VOICES[number % len(VOICES)], **fields}
        for number, fields in enumerate(plain)
    ]
    return [
        *(FixedRequest(_name(fields), _seeded(fields)) for fields in numbered),
        *_worded(),
        *_sessions(),
    ]


def _seeded(fields: dict[str, object]) -> dict[str, object]:
    return {"seed": SEED, "normalize": True, **fields}


def _name(fields: dict[str, object]) -> str:
    """Return a name of the fields other than text and voice."""
    streamed = "streamed" if fields.get("stream", True) else "whole"
    values = [value for name, value in fields.items() if name not in ("input", "voice", "stream")]
    return " ".join([*map(str, values), streamed])


def _formats() -> list[dict[str, object]]:
    return [
        {"response_format": name, "stream": stream} for name in FORMATS for stream in (True, False)
    ]


def _encodings() -> list[dict[str, object]]:
    return [
        {"response_format": name, "encoding": law, "stream": stream}
        for name in ("wav", "pcm")
        for law in LAWS
        for stream in (True, False)
    ]


def _rates() -> list[dict[str, object]]:
    rates = [
        ("wav", 8_000, True),
        ("wav", 44_100, False),
        ("pcm", 11_025, True),
        ("pcm", 48_000, True),
        ("mp3", 16_000, True),
        ("mp3", 44_100, False),
        ("opus", 48_000, True),
        ("opus", 8_000, False),
        ("aac", 22_050, True),
        ("flac", 16_000, False),
    ]
    return [
        *(
            {"response_format": name, "sample_rate": rate_hz, "stream": stream}
            for name, rate_hz, stream in rates
        ),
        {"response_format": "wav", "encoding": "pcm_mulaw", "sample_rate": 16_000},
    ]


def _speeds() -> list[dict[str, object]]:
    chosen = [("pcm", 0.8, True), ("wav", 1.5, False), ("mp3", 1.5, True), ("opus", 0.8, True)]
    return [
        {"response_format": name, "speed": speed, "stream": stream}
        for name, speed, stream in chosen
    ]


def _events() -> list[dict[str, object]]:
    events: dict[str, object] = {"stream_format": "sse"}
    return [
        events | {"response_format": "pcm"},
        events | {"response_format": "mp3"},
        events | {"response_format": "wav", "encoding": "pcm_alaw"},
    ]


def _worded() -> list[FixedRequest]:
    """Return requests that differ in their text and its options."""
    worded: dict[str, dict[str, object]] = {
        "Malay": {"input": TEXTS["malay"], "language": "ms"},
        "Mandarin": {"input": TEXTS["mandarin"], "language": "zh", "voice": "nova"},
        "Tamil": {"input": TEXTS["tamil"], "language": "ta"},
        "not normalised": {"input": TEXTS["markdown"], "normalize": False},
        "pauses at 1.5": {"input": TEXTS["pauses"], "speed": 1.5},
        "loudness unchanged": {"input": TEXTS["numbers"], "normalize_loudness": False},
        "cut by max_tokens": {"input": TEXTS["abbreviations"], "max_tokens": 70},
        "small first window": {"input": TEXTS["html"], "playback_speed": 0.2},
        "large overlap": {"input": TEXTS["greeting"], "playback_overlap_speed": 0.5},
        "long": {"input": LONG, "stream": False, "response_format": "mp3"},
    }
    return [
        FixedRequest(name, _seeded({"response_format": "pcm", **fields}))
        for name, fields in worded.items()
    ]


def _sessions() -> list[FixedRequest]:
    return [
        FixedRequest("WebSocket pcm", _seeded({}), (TEXTS["greeting"], TEXTS["pauses"])),
        FixedRequest(
            "WebSocket wav pcm_mulaw",
            _seeded({"response_format": "wav", "encoding": "pcm_mulaw", "voice": "onyx"}),
            (TEXTS["html"],),
        ),
    ]
