"""The page in a headless Chromium: streamed audio, formats, errors, small screens.

test_page_controls.py has its controls. `python -m tests.slow.test_page` retakes docs/page.png.
"""

from __future__ import annotations

import base64
import io
import re
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.child_service import running_in
from tests.slow.browser import LONG, chromium, opened_page, service, speak, spoken, until
from tests.slow.probes import (
    BROKEN,
    BUSY,
    DRAWN,
    ELEMENT,
    EVERYTHING,
    EXPOSE,
    FILE,
    FRAMES,
    HEARD,
    HELD,
    NOTED,
    OVERFLOW,
    READ,
    RUN,
    SEAMS,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SHOT = Path(__file__).parents[2] / "docs" / "page.png"
FORMATS = ("wav", "pcm", "mp3", "opus", "aac", "flac")
WITHOUT_STORAGE = """
for (const area of ["localStorage", "sessionStorage"]) {
  const get = () => { throw new DOMException("denied", "SecurityError"); };
  Object.defineProperty(window, area, { get });
}"""


def test_every_sample_of_the_answer_is_heard(page: Page, url: str) -> None:
    speak(page, "The train leaves at nine. Please be on time.")
    played_s = page.evaluate(HEARD)
    until(page, "Done")
    assert played_s == sorted(played_s)
    assert len([at_s for at_s in played_s if 0 < at_s < played_s[-1]]) >= 3
    whole = spoken(url, input="The train leaves at nine. Please be on time.", response_format="pcm")
    assert page.evaluate(RUN)["scheduled"] == len(whole) / 2
    assert page.evaluate(RUN)["state"] == "suspended"
    assert page.evaluate(RUN)["position_s"] == pytest.approx(len(whole) / 48_000)
    assert float(page.inner_text("#length").removesuffix(" s")) == pytest.approx(
        len(whole) / 48_000, abs=0.01
    )
    for figure in ("#first", "#whole"):
        assert re.fullmatch(r"\d+ ms|\d+\.\d\d s", page.inner_text(figure))


def test_pieces_are_joined_without_a_seam(page: Page) -> None:
    for rate_hz in (8_000, 22_050, 24_000, 44_100, 48_000):
        assert page.evaluate(SEAMS, rate_hz) < 1e-6, rate_hz


@pytest.mark.parametrize("name", ["wav", "pcm"])
def test_samples_do_not_depend_on_how_the_stream_was_cut(page: Page, name: str) -> None:
    samples = [1, -1, 32767, -32768, *range(0, 3000, 7)]
    sound = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + bytes(16) + b"data\xff\xff\xff\xff"
    stream = (header if name == "wav" else b"") + sound
    for sizes in ([1], [3, 5], [44], [45, 4096], [100_000]):
        assert page.evaluate(READ, [base64.b64encode(stream).decode(), name, sizes]) == samples, (
            sizes
        )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_heard_and_kept(page: Page, url: str, name: str) -> None:
    speak(page, "Good morning.", name)
    until(page, "Done")
    assert page.evaluate(DRAWN) > 0.3
    length_s = page.evaluate(RUN)["scheduled"] / 24_000
    assert length_s == pytest.approx(
        len(spoken(url, input="Good morning.", response_format="pcm")) / 48_000, abs=0.15
    )
    kept = base64.b64decode(page.evaluate(FILE))
    if name == "wav":  # with the sizes that a stream cannot know
        with wave.open(io.BytesIO(kept)) as file:
            assert file.getnframes() == page.evaluate(RUN)["scheduled"]
    else:
        assert len(kept) == len(spoken(url, input="Good morning.", response_format=name))


def test_the_waveform_is_empty_before_and_grows_while_it_plays(page: Page) -> None:
    assert 0 < page.evaluate(DRAWN) < 0.1
    speak(page, "Good morning, and welcome to the museum of clocks.")
    page.wait_for_function(f"() => ({DRAWN})() > 0.3")
    until(page, "Done")


def test_a_download_has_the_formats_name(page: Page) -> None:
    speak(page, "Good morning.", "flac")
    until(page, "Done")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "speech.flac"
    assert Path(download.value.path()).read_bytes()[:4] == b"fLaC"


@pytest.mark.parametrize(("text", "words"), [("", "empty_input"), ("你好", "unsupported_language")])
def test_an_error_of_the_server_is_beside_its_control(page: Page, text: str, words: str) -> None:
    page.set_viewport_size({"width": 320, "height": 480})
    speak(page, text)
    page.get_by_text(words).wait_for()
    alert = page.get_by_role("alert").filter(has_text=words)
    assert alert.get_attribute("id") == "text-error"
    assert "400" in alert.inner_text()
    assert page.get_attribute("#text", "aria-invalid") == "true"
    box = alert.bounding_box()
    assert box is not None
    assert 0 <= box["y"] <= 480 - box["height"]
    page.type("#text", "Better")
    assert page.inner_text("#text-error") == ""
    assert page.get_attribute("#text", "aria-invalid") is None
    assert page.locator("#takes li").count() == 0
    speak(page, "Better now.")
    until(page, "Done")


def test_an_error_of_another_field_is_beside_that_control(page: Page) -> None:
    page.evaluate("document.getElementById('voice').append(new Option('Gone', 'gone'))")
    page.select_option("#voice", "gone")
    speak(page, "Good morning.")
    page.get_by_text("unknown voice").wait_for()
    assert "voice_not_found" in page.inner_text("#voice-error")


def test_a_text_that_is_too_long_is_not_sent(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.fill("#text", "é" * 5000 + "🐦")
    assert page.inner_text("#count") == "905 characters too long"
    page.click("#speak")
    page.get_by_text("The text is 905 characters too long.").wait_for()
    assert sent == []
    page.fill("#text", "🐦" * 4096)
    assert page.inner_text("#text-error") == ""
    assert page.inner_text("#count") == "4,096 of 4,096 characters"


def test_a_server_that_is_gone_and_an_answer_that_breaks_off_are_told(page: Page) -> None:
    page.context.set_offline(True)
    speak(page, "Good morning.")
    page.get_by_text("The server cannot be reached.").wait_for()
    page.evaluate(BROKEN)
    speak(page, "Good morning.")
    page.get_by_text("The response was cut off after 100 ms of audio").wait_for()
    assert "cut off" in page.inner_text("#takes .facts")
    until(page, "Done")


def test_a_busy_server_says_when_and_is_asked_again(page: Page) -> None:
    page.evaluate(BUSY)
    for status, code in ((429, "overloaded"), (503, "not_ready")):
        speak(page, "Good morning.")
        page.get_by_text(f"busy ({status} {code}). You may try again after 3 s.").wait_for()
        assert page.get_attribute("#stop", "aria-disabled") == "true"
    page.click("#speak")
    until(page, "Done")
    assert page.inner_text("#speak-error") == ""


def test_a_page_that_was_opened_without_its_server_learns_later(page: Page, url: str) -> None:
    page.route("**/page/limits", lambda route: route.abort())
    page.reload()
    page.get_by_text("The server cannot be reached.").wait_for()
    page.unroute("**/page/limits")
    page.fill("#text", "Good morning.")
    page.click("#speak")
    until(page, "Done")


@pytest.mark.parametrize("name", ["mp3", "aac"])
def test_frames_are_heard_before_the_answer_is_whole(page: Page, url: str, name: str) -> None:
    page.evaluate(HELD)
    speak(page, LONG, name)
    until(page, "Playing")
    held = page.evaluate(RUN)["scheduled"]
    page.evaluate("window.release()")
    until(page, "Done")
    assert 0 < held < page.evaluate(RUN)["scheduled"]


@pytest.mark.parametrize("name", ["mp3", "aac"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_frames_do_not_depend_on_how_the_stream_was_cut(
    page: Page, url: str, name: str, rate_hz: int
) -> None:
    sound = spoken(url, input="Good morning.", response_format=name, sample_rate=rate_hz)
    encoded = base64.b64encode(sound).decode()
    lengths = [
        page.evaluate(FRAMES, [encoded, name, rate_hz, sizes]) for sizes in ([1], [7, 500], [10**6])
    ]
    pcm = spoken(url, input="Good morning.", response_format="pcm", sample_rate=rate_hz)
    assert len(set(lengths)) == 1
    assert len(pcm) / 2 <= lengths[0] <= len(pcm) / 2 + 0.27 * rate_hz


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ["wav", "mp3", "opus", "aac", "flac"])
def test_an_audio_element_plays_it(browser: Browser, url: str, name: str, stream: bool) -> None:
    answer = httpx.post(
        f"{url}/v1/audio/speech",
        json={"input": "Good morning.", "response_format": name, "stream": stream},
        trust_env=False,
        timeout=30,
    )
    length_s = len(spoken(url, input="Good morning.", response_format="pcm")) / 48_000
    page = browser.new_page()  # an empty one: our own page's policy lets no element play
    played = page.evaluate(
        ELEMENT, [base64.b64encode(answer.content).decode(), answer.headers["content-type"]]
    )
    page.close()
    assert played["error"] is None
    assert played["ended"]
    assert played["played_s"] == pytest.approx(length_s, abs=0.15)
    if not stream:
        assert played["duration_s"] == pytest.approx(length_s, abs=0.15)


def test_a_key_is_sent_kept_for_the_tab_and_not_shown(page: Page) -> None:
    page.evaluate(NOTED)
    speak(page, "Good morning.")
    page.get_by_text("a key is needed (401 invalid_api_key)").wait_for()
    assert "Authorization" not in page.evaluate("window.sent")
    page.fill("#key", "secret")  # the part with the key has opened by itself
    page.click("#speak")
    page.wait_for_function("() => window.sent.Authorization === 'Bearer secret'")
    kept = page.evaluate("JSON.stringify(localStorage) + document.cookie + location")
    assert "secret" not in kept
    page.reload()
    until(page, "Ready")
    assert page.input_value("#key") == "secret"
    assert "secret" not in page.inner_text("body")
    assert 'Bearer $API_KEY"' in (page.text_content("#code") or "")


def opened(page: Page, url: str, key: str) -> str:
    """The sub-protocol of a WebSocket that the page opens, or "failed"."""
    script = """([url, key]) => new Promise((resolve) => {
        const socket = new WebSocket(url, ["realtime", "openai-insecure-api-key." + key]);
        socket.onopen = () => resolve(socket.protocol);
        socket.onerror = () => resolve("failed");
    })"""
    return str(
        page.evaluate(script, [f"{url.replace('http', 'ws', 1)}/v1/audio/speech/stream", key])
    )


@pytest.mark.fault(48)
def test_the_websocket_opens_with_a_key_from_its_own_page_alone(
    browser: Browser, tmp_path: Path
) -> None:
    with running_in(tmp_path, API_KEYS="sk-page-1") as running:
        page = browser.new_page()
        page.goto(running.url)
        assert opened(page, running.url, "sk-page-1") == "realtime"
        assert opened(page, running.url, "sk-wrong") == "failed"
        page.goto("data:text/html,<p>another origin")
        assert opened(page, running.url, "sk-page-1") == "failed"
        page.close()


def test_a_phone_shows_it_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.evaluate(EVERYTHING, "x" * 300)
    speak(page, "y" * 300)
    until(page, "Playing")
    assert page.evaluate(OVERFLOW) <= 0
    heights = page.evaluate(
        "[...document.querySelectorAll('button, select, .check')].map((it) => it.offsetHeight)"
    )
    assert min(heights) >= 44


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_audit_finds_nothing(page: Page, scheme: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="make setup-browser installs it"
    )
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    speak(page, "Good morning.")
    until(page, "Done")
    page.evaluate(EVERYTHING, "Something is wrong.")
    audit = axe.Axe().run(page).response
    assert "color-contrast" in [rule["id"] for rule in audit["passes"]]
    assert [
        (rule["id"], node["target"]) for rule in audit["violations"] for node in rule["nodes"]
    ] == []


def test_a_page_without_storage_speaks(browser: Browser, url: str) -> None:
    with opened_page(browser, url, WITHOUT_STORAGE) as page:
        page.click("#access summary")
        page.fill("#key", "secret")
        speak(page, "Good morning.")
        until(page, "Done")


def take_picture() -> None:
    """Write docs/page.png: the page while it plays the second of two takes."""
    with service() as url, chromium() as browser:
        page = browser.new_page(viewport={"width": 816, "height": 1104})
        page.goto(url)
        until(page, "Ready")
        text = page.input_value("#text")
        page.select_option("#voice", "heron")
        for words in (text, "Good morning, and welcome to the museum of clocks."):
            speak(page, words, "wav")  # the first response compiles rules of the normaliser
            until(page, "Done")
        page.click("#takes li:last-child .remove")
        page.select_option("#voice", "lark")
        page.evaluate(EXPOSE)
        speak(page, text, "wav")
        page.wait_for_function("() => window.page.player.position_s > 3.5")
        page.mouse.move(0, 0)
        page.screenshot(path=SHOT)


if __name__ == "__main__":
    take_picture()
