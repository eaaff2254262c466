"""The controls of the page in a headless Chromium: player, takes, voices, code, keyboard."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import wave
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest

from tests.cloning.recordings import recording
from tests.slow.browser import LONG, opened_page, service, speak, spoken, until
from tests.slow.probes import HELD, MANY, OUTLINED, PREVIEWED, RUN, SILENT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
TEXT = "It's nine o'clock; \"late\" for $HOME, isn't it?\nA back\\slash."
# Tab stops from the text to the end of a page with one take.
STOPS = [
    *("text", "summary", "voice", "listen", "language", "format", "speed", "normal", "normalize"),
    *("speak", "stop", "wave", "play", "volume", "download", "select", "save", "remove"),
    *("summary", "summary", "a"),
]
FOCUSED = """() => {
  const { id, classList, localName } = document.activeElement;
  return id || classList[0] || localName;
}"""


def position_s(page: Page) -> float:
    return float(page.evaluate(RUN)["position_s"])


def spoken_whole(page: Page, text: str = LONG) -> float:
    """Speak a text until all of it has arrived; return the seconds of its audio."""
    speak(page, text)
    page.wait_for_function("() => document.getElementById('whole').textContent !== '–'")
    return float(page.evaluate(RUN)["length"]) / 24_000


def download(page: Page, selector: str) -> bytes:
    with page.expect_download() as found:
        page.click(selector)
    return Path(found.value.path()).read_bytes()


def test_a_pause_keeps_the_position_and_all_samples(page: Page) -> None:
    length_s = spoken_whole(page)
    page.wait_for_function("async () => (await import('/page/page.js')).player.position_s > 0.3")
    page.click("#play")
    until(page, "Paused")
    paused_s = position_s(page)
    page.wait_for_timeout(300)
    assert position_s(page) == pytest.approx(paused_s, abs=0.1)
    assert page.evaluate(RUN)["state"] == "suspended"
    page.click("#play")
    until(page, "Playing")
    page.wait_for_function(
        "async (paused_s) => (await import('/page/page.js')).player.position_s > paused_s + 0.2",
        arg=paused_s,
    )
    page.focus("#wave")
    page.keyboard.press("End")
    until(page, "Done")
    assert position_s(page) == pytest.approx(length_s)


def test_a_pause_during_the_stream_loses_nothing(page: Page, url: str) -> None:
    page.evaluate(HELD)
    speak(page, LONG)
    until(page, "Playing")
    page.click("#play")
    until(page, "Paused")
    page.evaluate("window.release()")
    page.wait_for_function("() => document.getElementById('whole').textContent !== '–'")
    assert page.inner_text("#play") == "Play"
    page.click("#play")
    until(page, "Done")
    run = page.evaluate(RUN)
    whole = spoken(url, input=LONG, response_format="pcm")
    assert run["scheduled"] == run["length"] == len(whole) / 2
    assert run["gaps"] == 0


def test_click_and_drag_on_the_waveform_move_the_position(page: Page) -> None:
    length_s = spoken_whole(page)
    page.click("#play")
    until(page, "Paused")
    page.wait_for_timeout(500)  # until the scale of the waveform has settled
    box = page.locator("#wave").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + box["width"] / 2, middle)
    assert position_s(page) == pytest.approx(length_s / 2, abs=0.2)
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    page.mouse.move(box["x"] + box["width"] * 0.75, middle)
    assert position_s(page) == pytest.approx(length_s / 2, abs=0.2)  # until the release
    page.mouse.up()
    assert position_s(page) == pytest.approx(length_s * 0.75, abs=0.2)
    page.mouse.move(box["x"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] - 50, middle)
    page.mouse.up()
    assert position_s(page) == 0
    assert page.inner_text("#status") == "Paused"


def test_keys_on_the_waveform_move_the_position(page: Page) -> None:
    length_s = spoken_whole(page)
    page.focus("#wave")
    page.keyboard.press("Space")
    until(page, "Paused")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert position_s(page) == pytest.approx(2)
    page.keyboard.press("ArrowLeft")
    assert position_s(page) == pytest.approx(1)
    page.wait_for_function("() => document.getElementById('wave').ariaValueNow === '1'")
    assert page.get_attribute("#wave", "aria-valuetext") == f"1 of {length_s:.0f} seconds"
    page.keyboard.press("PageUp")
    assert position_s(page) == pytest.approx(min(length_s, 6))
    page.keyboard.press("End")
    assert position_s(page) == pytest.approx(length_s)
    page.keyboard.press("Space")
    until(page, "Done")


def test_a_take_is_played_again(page: Page) -> None:
    speak(page, "Good morning.")
    until(page, "Done")
    assert page.inner_text("#play") == "Replay"
    page.click("#play")
    until(page, "Playing")
    assert page.inner_text("#play") == "Pause"
    until(page, "Done")
    run = page.evaluate(RUN)
    assert run["scheduled"] == run["length"]


def test_the_volume_changes_what_is_heard_and_stays(page: Page) -> None:
    page.fill("#volume", "0.25")
    speak(page, "Good morning.")
    gain = "async () => (await import('/page/page.js')).player.output.gain.value"
    assert page.evaluate(gain) == 0.25
    page.reload()
    until(page, "Ready")
    assert page.input_value("#volume") == "0.25"


@pytest.mark.parametrize("name", ["wav", "mp3"])
def test_what_has_arrived_stays_after_a_stop(page: Page, url: str, name: str) -> None:
    page.evaluate(HELD)
    speak(page, LONG, name)
    until(page, "Playing")
    page.click("#stop")
    until(page, "Stopped")
    page.wait_for_function(
        "() => document.querySelector('#takes .facts').textContent.endsWith('stopped')"
    )
    part = download(page, "#download")
    whole = spoken(url, input=LONG, response_format=name)
    assert 0.3 < len(part) / len(whole) < 0.7
    if name == "wav":
        with wave.open(io.BytesIO(part)) as file:
            assert file.getnframes() == page.evaluate(RUN)["length"]
    page.click("#play")
    until(page, "Playing")
    until(page, "Done")


def test_nothing_stays_of_a_take_that_was_stopped_before_its_audio(page: Page) -> None:
    page.evaluate(SILENT)
    speak(page, "Good morning.")
    until(page, "Waiting")
    page.keyboard.press("Escape")
    page.locator("#takes li").wait_for(state="detached")
    assert not page.is_visible("#history")
    assert page.get_attribute("#play", "aria-disabled") == "true"


def test_speaking_again_replaces_what_is_spoken_and_keeps_both(page: Page, url: str) -> None:
    speak(page, LONG)
    until(page, "Playing")
    speak(page, "Good morning.")
    until(page, "Done")
    expected = spoken(url, input="Good morning.", response_format="pcm")
    assert page.evaluate(RUN)["scheduled"] == len(expected) / 2
    assert page.locator("#takes .words").all_inner_texts() == ["Good morning.", LONG]


def test_takes_are_compared_downloaded_and_removed(page: Page, url: str) -> None:
    speak(page, "Good morning.")
    until(page, "Done")
    page.select_option("#voice", "heron")
    page.fill("#speed", "9")
    speak(page, "Good evening.", "flac")
    until(page, "Done")
    latest, first = page.locator("#takes li").all()
    seconds = r"(\d+ ms|\d+\.\d\d s)"
    assert re.fullmatch(
        rf"heron · 1\.52 × · flac · first audio {seconds} · total {seconds} · {seconds}",
        latest.locator(".facts").inner_text(),
    )
    assert "lark · 1.00 × · pcm" in first.inner_text()
    assert latest.locator(".select").get_attribute("aria-current") == "true"
    first.locator(".select").click()
    until(page, "Playing")
    assert first.locator(".select").get_attribute("aria-current") == "true"
    assert latest.locator(".select").get_attribute("aria-current") is None
    whole = spoken(url, input="Good morning.", response_format="pcm")
    assert page.evaluate(RUN)["length"] == len(whole) / 2
    assert len(download(page, "#takes li:last-child .save")) == len(whole)
    assert download(page, "#takes li:first-child .save")[:4] == b"fLaC"
    first.locator(".remove").click()
    assert page.locator("#takes li").count() == 1
    assert page.evaluate(FOCUSED) == "select"
    assert page.evaluate(RUN)["playing"] is False
    page.click("#takes .remove")
    assert not page.is_visible("#history")
    assert page.evaluate(FOCUSED) == "speak"


def test_the_takes_are_bounded_in_number_and_memory(page: Page) -> None:
    assert page.evaluate(MANY, [1, 30])["count"] == 20
    bounded = page.evaluate(MANY, [200, 10])  # 19 MB each
    assert bounded["count"] < 10
    assert bounded["bytes"] <= 100_000_000


def test_text_and_choices_survive_a_reload(page: Page) -> None:
    page.fill("#text", TEXT)
    page.select_option("#voice", "heron")
    page.select_option("#language", "en")
    page.select_option("#format", "opus")
    page.fill("#speed", "-7")
    page.reload()
    until(page, "Ready")
    values = [page.input_value(f"#{name}") for name in ("text", "voice", "language", "format")]
    assert values == [TEXT, "heron", "en", "opus"]
    assert page.inner_text("#times") == "0.72 ×"
    page.uncheck("#normalize")
    page.reload()
    until(page, "Ready")
    assert not page.is_checked("#normalize")
    assert page.is_disabled("#language")


@pytest.mark.parametrize("kept", ["[", "null", "7", '{"voice": "gone", "format": "gone"}'])
def test_choices_that_no_longer_exist_are_forgotten(page: Page, kept: str) -> None:
    page.evaluate("(kept) => localStorage.setItem('speech-server-choices', kept)", kept)
    page.reload()
    until(page, "Ready")
    assert (page.input_value("#voice"), page.input_value("#format")) == ("lark", "wav")


def test_the_middle_of_the_slider_is_the_normal_speed(page: Page) -> None:
    shown = {}
    for position in ("-30", "-15", "0", "15", "30"):
        page.fill("#speed", position)
        shown[position] = page.inner_text("#times")
    assert list(shown.values()) == ["0.25 ×", "0.50 ×", "1.00 ×", "2.00 ×", "4.00 ×"]
    assert page.get_attribute("#speed", "aria-valuetext") == "4.00 times"
    page.click("#normal")
    assert page.inner_text("#times") == "1.00 ×"


def test_what_will_be_said_is_shown_on_demand_and_follows_the_text(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.fill("#text", "It costs £12.50.")
    page.wait_for_timeout(600)
    assert sent == []
    page.click("#spoken summary")
    page.get_by_text("It costs twelve pounds and fifty pence.").wait_for()
    page.fill("#text", "It costs £3.")
    page.get_by_text("It costs three pounds.").wait_for()
    page.uncheck("#normalize")
    page.locator("#said").filter(has_text="It costs £3.").wait_for()
    page.fill("#text", "")
    page.get_by_text("no letter or digit").wait_for()


def test_a_voice_is_described_and_heard(page: Page) -> None:
    assert page.locator("#voice option").all_inner_texts() == [
        "lark – Higher voice, English",
        "heron – Lower voice, English",
    ]
    page.select_option("#voice", "heron")
    page.click("#listen")
    page.wait_for_function(f"async () => (await ({PREVIEWED})()).playing")
    assert page.inner_text("#listen") == "Stop"
    page.get_by_role("button", name="Listen").wait_for()
    assert page.evaluate(PREVIEWED)["length_s"] > 0.5
    assert page.locator("#takes li").count() == 0
    page.click("#listen")
    page.wait_for_function(f"async () => (await ({PREVIEWED})()).playing")
    page.click("#listen")
    assert page.evaluate(PREVIEWED)["playing"] is False
    speak(page, LONG)
    until(page, "Playing")
    page.click("#listen")
    until(page, "Paused")
    page.wait_for_function(f"async () => (await ({PREVIEWED})()).playing")
    page.click("#play")
    until(page, "Playing")
    assert page.evaluate(PREVIEWED)["playing"] is False
    assert page.inner_text("#listen") == "Listen"


def chosen(page: Page) -> dict[str, object]:
    """Choose everything that a request has, and return the request that the page sends."""
    page.fill("#text", TEXT)
    page.select_option("#voice", "heron")
    page.select_option("#language", "en")
    page.fill("#speed", "9")
    with page.expect_request("**/v1/audio/speech") as sent:
        page.click("#speak")
    return dict(sent.value.post_data_json)


def snippet(page: Page, name: str) -> str:
    """Copy a program with its button, and return it from the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#program summary")
    page.check(f"#snippets [value={name}]")
    page.click("#copy")
    page.get_by_text("Copied").wait_for()
    return str(page.evaluate("navigator.clipboard.readText()"))


def same_sound(one: bytes, other: bytes) -> None:
    assert (len(one), one[:44]) == (len(other), other[:44])
    difference = np.frombuffer(one[44:], "<i2").astype(int) - np.frombuffer(other[44:], "<i2")
    assert np.abs(difference).max() <= 1  # windows are cut by what has arrived


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_command_is_the_request(page: Page, url: str, tmp_path: Path) -> None:
    request = chosen(page)
    line = snippet(page, "curl")
    words = shlex.split(line)
    assert json.loads(words[words.index("-d") + 1]) == request
    subprocess.run(["sh", "-c", line], check=True, cwd=tmp_path, capture_output=True)
    same_sound((tmp_path / "speech.wav").read_bytes(), spoken(url, **request))


@contextmanager
def recorder() -> Generator[tuple[str, list[dict[str, object]]]]:
    """Yield the URL of a server that answers every request, and the bodies that it received."""
    bodies: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"audio")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()


def test_the_python_program_is_the_request(page: Page, url: str, tmp_path: Path) -> None:
    request = chosen(page)
    assert request["language"] == "en"  # not a parameter of the SDK
    code = snippet(page, "python")
    run = partial(subprocess.run, check=True, cwd=tmp_path, capture_output=True)
    with recorder() as (other_url, bodies):
        run([sys.executable, "-c", code.replace(url, other_url)])
        assert bodies == [request]
    run([sys.executable, "-c", code])
    same_sound((tmp_path / "speech.wav").read_bytes(), spoken(url, **request))


def test_the_javascript_program_is_the_request(page: Page, url: str) -> None:
    request = chosen(page)
    code = snippet(page, "javascript")
    with page.expect_request("**/v1/audio/speech") as sent:
        size = page.evaluate(f"async () => {{ {code} return audio.size; }}")
    assert sent.value.post_data_json == request
    assert size == len(spoken(url, **request))


def test_programs_read_a_key_from_the_environment(page: Page) -> None:
    page.click("#access summary")
    page.fill("#key", "secret")
    for name in ("curl", "python", "javascript"):
        page.evaluate("document.getElementById('program').open = true")
        page.check(f"#snippets [value={name}]")
        code = page.inner_text("#code")
        assert "API_KEY" in code
        assert "secret" not in code


def test_the_keyboard_is_enough(page: Page) -> None:
    speak(page, "Good morning.", "wav")
    until(page, "Done")
    page.focus("#text")
    reached: list[str] = []
    for _ in STOPS:
        reached.append(page.evaluate(FOCUSED))
        assert page.evaluate(OUTLINED) != "none", reached[-1]
        page.keyboard.press("Tab")
    assert reached == STOPS
    page.focus("#voice")
    page.keyboard.press("ArrowDown")
    page.focus("#speed")
    page.keyboard.press("ArrowRight")
    assert (page.input_value("#voice"), page.inner_text("#times")) == ("heron", "1.05 ×")
    page.fill("#text", LONG)
    page.keyboard.press("Control+Enter")
    until(page, "Playing")
    page.keyboard.press("Escape")
    until(page, "Stopped")
    assert page.evaluate(FOCUSED) == "text"
    page.focus("#speak")
    page.keyboard.press("Enter")
    until(page, "Playing")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    until(page, "Stopped")
    assert page.evaluate(FOCUSED) == "stop"
    page.focus("#takes li:last-child .select")
    page.keyboard.press("Enter")
    until(page, "Done")


def test_motion_is_reduced_for_users_who_ask_for_it(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    speak(page, LONG)
    page.wait_for_function("() => document.getElementById('whole').textContent !== '–'")
    moves = "async () => (await import('/page/playback.js')).waveform.moves"
    page.evaluate(
        "() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))"
    )
    assert page.evaluate(moves) is False


def test_cloning_is_hidden_without_a_model_that_clones(page: Page) -> None:
    assert not page.is_visible("#cloning")


@pytest.fixture(scope="module")
def cloning_url(browser: Browser) -> Generator[str]:
    with service("tests.slow.cloning_service") as url:
        yield url


def fill_cloning(page: Page, name: str, transcript: str) -> None:
    page.fill("#name", name)
    page.fill("#transcript", transcript)
    page.click("#add")


def test_a_voice_is_cloned_from_a_file_used_and_deleted(browser: Browser, cloning_url: str) -> None:
    with opened_page(browser, cloning_url) as page:
        page.click("#cloning summary")
        fill_cloning(page, "ana", "What I said.")
        assert page.inner_text("#recording-error") == "Choose a file, or record one."
        silent = {"name": "x.wav", "mimeType": "audio/wav", "buffer": recording("wav", 0.2)}
        page.set_input_files("#recording", silent)
        assert page.inner_text("#recording-error") == ""
        page.click("#add")
        page.get_by_text("reference_too_short").wait_for()
        voice = {"name": "x.wav", "mimeType": "audio/wav", "buffer": recording("wav", 2.0)}
        page.set_input_files("#recording", voice)
        fill_cloning(page, "husein", "What I said.")
        page.locator("#name-error").filter(has_text="voice_exists").wait_for()
        fill_cloning(page, "ana", "...")
        page.locator("#transcript-error").filter(has_text="empty_input").wait_for()
        fill_cloning(page, "ana", "What I said.")
        page.get_by_text("The voice ana is ready and chosen.").wait_for()
        stored = httpx.get(f"{cloning_url}/v1/audio/voices", trust_env=False).json()["voices"][-1]
        assert (stored["name"], page.input_value("#voice")) == ("ana", stored["id"])
        assert page.locator("#voice :checked").inner_text() == "ana – Cloned from 2.0 s"
        with page.expect_request("**/v1/audio/speech") as sent:
            speak(page, "Good morning.")
        assert sent.value.post_data_json["voice"] == {"id": stored["id"]}
        until(page, "Done")
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("#discard")
        page.wait_for_function("() => document.getElementById('voice').value === 'husein'")
        assert not page.is_visible("#discard")
        left = httpx.get(f"{cloning_url}/v1/audio/voices", trust_env=False).json()["voices"]
        assert stored not in left


def test_a_voice_is_cloned_from_the_microphone(browser: Browser, cloning_url: str) -> None:
    with opened_page(browser, cloning_url) as page:
        page.click("#cloning summary")
        page.click("#record")
        page.get_by_text("Recording", exact=True).wait_for()
        page.wait_for_timeout(2_500)
        page.click("#record")
        page.locator("#recorded").filter(has_text="Recorded 2").wait_for()
        page.click("#replay")
        page.wait_for_function(f"async () => (await ({PREVIEWED})()).playing")
        fill_cloning(page, "mic", "What I said.")
        page.get_by_text("The voice mic is ready and chosen.").wait_for()


def test_a_page_without_a_secure_context_says_that_it_cannot_record(
    browser: Browser, cloning_url: str
) -> None:
    insecure = """
    Object.defineProperty(window, "isSecureContext", { value: false });
    Object.defineProperty(navigator, "mediaDevices", { value: undefined });
    """
    with opened_page(browser, cloning_url, insecure) as page:
        page.click("#cloning summary")
        assert "Recording needs a page from https or localhost" in page.inner_text("#recorded")
        assert not page.is_visible("#record")
