"""The page in a headless Chromium: streamed audio, errors, keyboard use, small screens.

`python -m tests.slow.test_page` retakes docs/page.png.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from tests.child_service import running_in
from tests.slow.probes import (
    BROKEN,
    BUSY,
    DRAWN,
    ELEMENT,
    EXPOSE,
    FILE,
    FRAMES,
    HEARD,
    HELD,
    NOTED,
    OUTLINED,
    OVERFLOW,
    READ,
    RUN,
    SEAMS,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SHOT = Path(__file__).parents[2] / "docs" / "page.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FORMATS = ("wav", "pcm", "mp3", "opus", "aac", "flac")
LIMIT_MS = 20_000


@contextmanager
def chromium() -> Generator[Browser]:
    """A headless browser of this machine."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def service() -> Generator[str]:
    """The embedded voice; yields its URL."""
    with tempfile.TemporaryDirectory() as folder, running_in(Path(folder)) as running:
        yield running.url


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    pytest.importorskip("playwright", reason="make setup-browser installs what drives the browser")
    if not any(map(shutil.which, BROWSERS)):
        pytest.skip("no Chromium: make setup-browser, as root on Debian")
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def url(browser: Browser) -> Generator[str]:
    with service() as found:
        yield found


@pytest.fixture
def page(browser: Browser, url: str) -> Generator[Page]:
    """The page, ready; afterwards nothing may have gone wrong inside, or been refused by its
    policy.
    """
    page = browser.new_page()
    page.set_default_timeout(LIMIT_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: wrong.append(message.text) if "Security Policy" in message.text else None,
    )
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((url, "blob:")) else wrong.append(request.url)
        ),
    )
    page.goto(url)
    until(page, "Ready")
    yield page
    page.close()
    assert wrong == []


def until(page: Page, words: str) -> None:
    """Wait for a status; on a loaded machine Done tells also of gaps."""
    page.wait_for_function(
        "(words) => document.getElementById('status').textContent.startsWith(words)", arg=words
    )


def speak(page: Page, text: str, name: str = "pcm") -> None:
    """Type a text, choose a format and press Speak."""
    page.fill("#text", text)
    page.select_option("#format", name)
    page.click("#speak")


def spoken(url: str, **fields: object) -> bytes:
    """The service's own answer."""
    answer = httpx.post(
        f"{url}/v1/audio/speech", json={"voice": "lark", **fields}, trust_env=False, timeout=30
    )
    answer.raise_for_status()
    return answer.content


def test_every_sample_of_the_answer_is_heard(page: Page, url: str) -> None:
    speak(page, "The train leaves at nine. Please be on time.")
    played_s = page.evaluate(HEARD)
    until(page, "Done")
    assert played_s == sorted(played_s)
    assert len([at_s for at_s in played_s if 0 < at_s < played_s[-1]]) >= 3
    whole = spoken(url, input="The train leaves at nine. Please be on time.", response_format="pcm")
    assert page.evaluate(RUN)["scheduled"] == len(whole) / 2
    assert page.evaluate(RUN)["state"] == "closed"
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


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty_input"), ("你好", "unsupported_language"), ("a" * 5000, "long")]
)
def test_an_error_of_the_server_is_read_out(page: Page, text: str, words: str) -> None:
    speak(page, text)
    page.wait_for_function("() => document.getElementById('error').textContent")
    assert words in page.inner_text("#error")
    assert "400" in page.inner_text("#error")
    assert page.get_by_role("alert").inner_text() == page.inner_text("#error")
    speak(page, "Better now.")
    until(page, "Done")
    assert page.inner_text("#error") == ""


def test_a_server_that_is_gone_and_an_answer_that_breaks_off_are_told(page: Page) -> None:
    page.context.set_offline(True)
    speak(page, "Good morning.")
    page.get_by_text("The server cannot be reached.").wait_for()
    page.evaluate(BROKEN)
    speak(page, "Good morning.")
    page.get_by_text("The response was cut off after 100 ms of audio").wait_for()
    assert page.get_attribute("#download", "aria-disabled") == "true"


def test_a_busy_server_says_when_and_is_asked_again(page: Page) -> None:
    page.evaluate(BUSY)
    for status, code in ((429, "overloaded"), (503, "not_ready")):
        speak(page, "Good morning.")
        page.get_by_text(f"busy ({status} {code}). You may try again after 3 s.").wait_for()
        assert page.get_attribute("#stop", "aria-disabled") == "true"
    page.click("#speak")
    until(page, "Done")
    assert page.inner_text("#error") == ""


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
    speak(page, "One two three four five six seven eight nine ten eleven twelve.", name)
    until(page, "Playing")
    assert page.get_attribute("#download", "aria-disabled") == "true"
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
    assert page.evaluate("[localStorage.length, document.cookie, location.search]") == [0, "", ""]
    page.reload()
    until(page, "Ready")
    assert page.input_value("#key") == "secret"
    assert "secret" not in page.inner_text("body")
    assert 'Bearer $API_KEY"' in (page.text_content("#curl") or "")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
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


def test_the_curl_line_says_the_same(page: Page, url: str, tmp_path: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text = "It's nine o'clock; \"late\" for $HOME, isn't it?"
    page.fill("#text", text)
    page.select_option("#voice", "heron")
    page.fill("#speed", "1.5")
    page.click("summary >> nth=0")
    page.click("#copy")
    page.get_by_text("Copied").wait_for()
    line = page.evaluate("navigator.clipboard.readText()")
    assert json.loads(shlex.split(line)[shlex.split(line).index("-d") + 1])["input"] == text
    subprocess.run(["sh", "-c", line], check=True, cwd=tmp_path, capture_output=True)
    expected = spoken(url, input=text, voice="heron", speed=1.5, response_format="wav")
    said = (tmp_path / "speech.wav").read_bytes()
    assert (len(said), said[:44]) == (len(expected), expected[:44])
    difference = np.frombuffer(said[44:], "<i2").astype(int) - np.frombuffer(expected[44:], "<i2")
    assert np.abs(difference).max() <= 1  # windows are cut by what has arrived


def test_the_keyboard_is_enough(page: Page) -> None:
    page.focus("#text")
    reached: list[str] = []
    for _ in range(10):
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.localName")
        )
        assert page.evaluate(OUTLINED) != "none", reached[-1]
        page.keyboard.press("Tab")
    assert reached == [
        "text",
        "voice",
        "format",
        "speed",
        "speak",
        "stop",
        "download",
        "summary",
        "summary",
        "a",
    ]
    page.focus("#voice")
    page.keyboard.press("ArrowDown")
    page.focus("#speed")
    page.keyboard.press("ArrowRight")
    assert (page.input_value("#voice"), page.inner_text("#times")) == ("heron", "1.05 ×")
    page.focus("#text")
    page.keyboard.press("Control+Enter")
    until(page, "Playing")
    page.keyboard.press("Escape")
    until(page, "Stopped")
    assert page.evaluate("document.activeElement.id") == "text"
    page.focus("#speak")
    page.keyboard.press("Enter")
    until(page, "Playing")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    until(page, "Stopped")
    assert page.evaluate("document.activeElement.id") == "stop"


def test_speaking_again_replaces_what_is_spoken(page: Page, url: str) -> None:
    speak(page, "One two three four five six seven eight nine ten eleven twelve.")
    until(page, "Playing")
    speak(page, "Good morning.")
    until(page, "Done")
    expected = spoken(url, input="Good morning.", response_format="pcm")
    assert page.evaluate(RUN)["scheduled"] == len(expected) / 2


def test_a_phone_shows_it_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    page.evaluate("document.getElementById('error').textContent = 'x'.repeat(300)")
    page.fill("#text", "y" * 300)
    assert page.evaluate(OVERFLOW) <= 0
    heights = page.evaluate(
        "[...document.querySelectorAll('button, select')].map((it) => it.offsetHeight)"
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
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    page.evaluate("document.getElementById('error').textContent = 'Something is wrong.'")
    audit = axe.Axe().run(page).response
    assert "color-contrast" in [rule["id"] for rule in audit["passes"]]
    assert [
        (rule["id"], node["target"]) for rule in audit["violations"] for node in rule["nodes"]
    ] == []


def take_picture() -> None:
    """docs/page.png: the page while it speaks."""
    with service() as url, chromium() as browser:
        page = browser.new_page(viewport={"width": 720, "height": 830})
        page.goto(url)
        for _ in range(2):  # the first answer compiles rules of the normaliser
            until(page, "Ready")
            page.click("#speak")
            page.evaluate(EXPOSE)
            page.wait_for_function("() => window.page.run?.player.played_s > 3.5")
            page.screenshot(path=SHOT)
            page.reload()


if __name__ == "__main__":
    take_picture()
