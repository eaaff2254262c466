"""The page's files: complete, self-contained, labelled and legible.

A browser runs them in tests/slow/test_page.py.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.fakes import FixedEngine
from tests.live_server import SPEECH, Served, good_request, serving, settings_for_tests

FOLDER = Path(__file__).parents[2] / "app" / "page"
FILES = sorted(path.name for path in FOLDER.iterdir())
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
NAMESPACE = "http://www.w3.org/2000/svg"


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def url_of(name: str) -> str:
    return "/" if name == "index.html" else f"/page/{name}"


class Elements(HTMLParser):
    """The elements of the page: name and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text_of("index.html"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def values(self, attribute: str) -> list[str]:
        """All values of an attribute, word by word."""
        return [
            word for _, attributes in self.found for word in attributes.get(attribute, "").split()
        ]


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    settings = settings_for_tests(max_input_characters=100)
    async with serving(FixedEngine(list(range(100))), settings=settings) as running:
        yield running
        await good_request(running)


@pytest.mark.parametrize("name", FILES)
async def test_a_file_is_served_with_its_type_and_the_policy(served: Served, name: str) -> None:
    answer = await served.client.get(url_of(name))
    assert answer.status_code == 200
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["content-type"] == TYPES[Path(name).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"
    sources = [part.split() for part in answer.headers["content-security-policy"].split(";")]
    assert ["default-src", "'none'"] in sources
    assert {source for _, *allowed in sources for source in allowed} == {"'self'", "'none'"}


async def test_a_file_that_the_client_has_is_not_sent_again(served: Served) -> None:
    tag = (await served.client.get("/")).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        answer = await served.client.get("/", headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    answer = await served.client.get("/", headers={"if-none-match": '"other"'})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


async def test_the_head_of_the_page_is_answered(served: Served) -> None:
    answer = await served.client.head("/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2Fmain.py", "%2e%2e%2fsettings.py", "index.html%00", "%2e%2e", "%2e"]
)
async def test_there_is_nothing_else_to_be_had(served: Served, name: str) -> None:
    answer = await served.client.get(f"/page/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("name", FILES)
def test_a_file_asks_nobody_else(name: str) -> None:
    text = text_of(name).replace(f'xmlns="{NAMESPACE}"', "")
    assert re.findall(r"(?:\w+:)?//[\w.-]+\.\w+|data:|@import|\burl\(", text) == []


def test_nothing_is_inline() -> None:
    elements = Elements()
    scripts = [attributes for tag, attributes in elements.found if tag == "script"]
    assert [script["src"] for script in scripts] == ["page/page.js"]
    assert all(tag != "style" for tag, _ in elements.found)
    assert [
        name
        for _, attributes in elements.found
        for name in attributes
        if name[:2] == "on" or name == "style"
    ] == []


def test_everything_that_is_loaded_exists() -> None:
    loaded = [
        value
        for value in [*Elements().values("src"), *Elements().values("href")]
        if value.startswith("page/")
    ]
    imported = [
        name
        for file in FOLDER.glob("*.js")
        for name in re.findall(r'from "\./(.+)"', file.read_text())
    ]
    assert {*(value.removeprefix("page/") for value in loaded), *imported, "index.html"} == set(
        FILES
    )


def test_every_id_that_is_used_exists_once() -> None:
    elements = Elements()
    ids = elements.values("id")
    assert len(ids) == len(set(ids))
    scripts = "".join(text_of(name) for name in FILES if name.endswith(".js"))
    taken = re.findall(r"\{([^{}]*)\} = elements;", scripts)
    used = {
        *re.findall(r"\belements\.(?!js)(\w+)", scripts),
        *(name for names in taken for name in re.findall(r"\w+", names)),
        *re.findall(r"#([a-z]+)(?=[\s:.,{])", text_of("page.css")),
    }
    assert {"text", "speak", "wave", "volume"} <= used <= set(ids)
    linked = ("for", "aria-describedby", "aria-labelledby", "list")
    assert {name for attribute in linked for name in elements.values(attribute)} <= set(ids)


def test_every_error_has_a_place_beside_its_control() -> None:
    elements = Elements()
    described = {
        word: attributes["id"]
        for _, attributes in elements.found
        for word in attributes.get("aria-describedby", "").split()
        if word.endswith("-error")
    }
    places = {
        attributes["id"]: attributes.get("role")
        for _, attributes in elements.found
        if attributes.get("class") == "error"
    }
    assert set(places.values()) == {"alert"}
    assert described == {place: place.removesuffix("-error") for place in places}
    for name in ("page.js", "cloning.js"):
        fields = re.findall(r"const CONTROLS = \{(.*?)\}", text_of(name), re.DOTALL)[0]
        controls = re.findall(r': "(\w+)"', fields)
        assert controls
        assert {f"{control}-error" for control in controls} <= set(places)


def test_every_control_has_a_name() -> None:
    elements = Elements()
    controls = [
        attributes for tag, attributes in elements.found if tag in ("textarea", "select", "input")
    ]
    assert len(controls) == 14
    # Those in a label: three programs, and a check box.
    inside = [each for each in controls if each.get("type") in ("radio", "checkbox")]
    assert len(inside) == 4
    labelled = set(elements.values("for"))
    assert {each["id"] for each in controls if each not in inside} <= labelled
    assert text_of("index.html").count('<label class="check">') == len(inside)
    (wave,) = [attributes for tag, attributes in elements.found if tag == "canvas"]
    assert (wave["role"], wave["tabindex"], wave["aria-label"]) == ("slider", "0", "Position")
    statuses = [
        attributes["id"] for _, attributes in elements.found if attributes.get("role") == "status"
    ]
    assert "status" in statuses


async def test_the_limits_are_those_of_the_speech_route(served: Served) -> None:
    limits = (await served.client.get("/page/limits")).json()
    fields = (await served.client.get("/openapi.json")).json()["components"]["schemas"][
        "SpeechRequest"
    ]["properties"]
    assert limits["formats"] == fields["response_format"]["anyOf"][0]["enum"]
    assert (limits["slowest"], limits["fastest"]) == (
        fields["speed"]["minimum"],
        fields["speed"]["maximum"],
    )
    assert limits["languages"] == fields["language"]["enum"]
    assert limits["normalize"] is True
    assert (limits["clones"], limits["reference_s"]) == (False, 20)
    assert limits["input_characters"] == 100
    assert limits["voice"] in (await served.client.get("/v1/audio/speaker")).json()
    assert limits["model"] == (await served.client.get("/v1/models")).json()["data"][0]["id"]


async def test_what_the_page_can_ask_for_is_spoken(served: Served) -> None:
    limits = (await served.client.get("/page/limits")).json()
    for name in limits["formats"]:
        body = {
            "input": "Hello.",
            "voice": {"id": limits["voice"]},
            "response_format": name,
            "speed": limits["fastest"],
        }
        assert (await served.client.post(SPEECH, json=body)).status_code == 200


def colours(style: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", style))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_edges_stand_out(scheme: int) -> None:
    found = colours(re.findall(r":root \{(.*?)\}", text_of("page.css"), re.DOTALL)[scheme])
    pairs = [(ink, ground) for ink in ("ink", "muted", "accent") for ground in ("ground", "panel")]
    for ink, ground in [
        *pairs,
        ("on-accent", "accent"),
        ("wrong", "panel"),
    ]:
        assert contrast(found[ink], found[ground]) >= 4.5, (ink, ground)
    for edge in ("edge", "accent"):
        assert contrast(found[edge], found["panel"]) >= 3, edge
