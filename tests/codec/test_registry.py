"""The registry: its rows agree with the codecs, and a row is all that the service needs of one."""

from __future__ import annotations

import ast
from pathlib import Path
from pkgutil import resolve_name

import httpx
import numpy as np
import pytest

from app.codec import CodeWindow
from app.codec.builtin.load import SPEC as BUILTIN
from app.codec.load import CodecOptions, load_codec, load_encoder
from app.codec.neucodec.load import neucodec_spec
from app.codec.registry import CODECS
from app.codec.snac import GPU_WINDOW_FRAMES, snac_spec
from app.codec.spec import CodecSpec
from app.config.profiles import ProfileError, load_profile
from app.errors import LoadError
from app.main import create_app
from tests.codec import toy
from tests.fakes import UNREACHABLE, FixedEngine
from tests.live_server import SPEECH, settings_for_tests, until_ready

APP = Path(__file__).parents[2] / "app"
PROFILE = """
name = "toy"
model = "toy-voice"
prompt = "{voice}: {text}"
characters_per_second = 14
typical_rms_db = -22

[codec]
name = "toy"
weights = "random"

[tokens]
prefix = "<t_"
suffix = ">"
first_code_number = 0
codes_per_frame = 1

[sampling]
max_tokens = 2048

[voices]
names = ["anna"]
default = "anna"
"""


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("neucodec", neucodec_spec(50)),
        ("snac", snac_spec(GPU_WINDOW_FRAMES)),
        ("builtin", BUILTIN),
    ],
)
def test_a_row_agrees_with_its_codec(name: str, spec: CodecSpec) -> None:
    assert spec.name == name
    assert spec.vocabulary == CODECS[name].vocabulary
    assert max(CODECS[name].graph_frames, default=0) <= spec.max_window_frames


@pytest.mark.parametrize("name", CODECS)
def test_the_loaders_of_a_row_exist(name: str) -> None:
    info = CODECS[name]
    for loader in (info.loader, *([info.encoder.loader] if info.encoder else [])):
        assert callable(resolve_name(loader))


@pytest.mark.parametrize("name", [name for name, info in CODECS.items() if info.encoder is None])
def test_a_codec_without_an_encoder_loads_none(name: str) -> None:
    with pytest.raises(LoadError, match=f"{name} has no encoder"):
        load_encoder(name, "random", "cpu")


@pytest.fixture
def toy_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(CODECS, "toy", toy.ROW)
    path = tmp_path / "toy.toml"
    path.write_text(PROFILE, encoding="utf-8")
    return str(path)


def test_a_profile_of_an_unknown_codec_is_rejected(
    toy_profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_profile(toy_profile).codec.name == "toy"
    monkeypatch.delitem(CODECS, "toy")
    with pytest.raises(ProfileError, match=r"codec\.name: .*neucodec, snac, builtin"):
        load_profile(toy_profile)


@pytest.mark.usefixtures("toy_profile")
def test_one_row_is_enough_to_decode() -> None:
    codec = load_codec(CodecOptions("toy", "random"), "cpu")
    windows = [CodeWindow(np.full((frames, 1), 128, np.int32)) for frames in (1, 9)]
    for window, samples in zip(windows, codec.decode(windows), strict=True):
        assert samples == pytest.approx(np.tile(toy.TONE.numpy() / 2, len(window.codes)))


async def test_one_row_and_a_profile_are_enough_to_serve(toy_profile: str) -> None:
    settings = settings_for_tests(model_profile=toy_profile, engine_urls=UNREACHABLE, device="cpu")
    app = create_app(settings, engine=FixedEngine(range(100, 200)))
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client,
        app.router.lifespan_context(app),
    ):
        await until_ready(client)
        body = {"input": "Hello there, my friend.", "response_format": "pcm"}
        answer = await client.post(SPEECH, json=body)
    assert answer.status_code == 200
    samples = np.frombuffer(answer.content, "<i2")
    assert len(samples) == 100 * toy.SPEC.samples_per_frame
    assert np.abs(samples).max() > 1000


def test_no_module_outside_the_codecs_compares_with_the_name_of_a_codec() -> None:
    for path in sorted(APP.rglob("*.py")):
        if path.is_relative_to(APP / "codec"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            compared = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            names = [item.value for item in compared if isinstance(item, ast.Constant)]
            assert not set(CODECS) & {name for name in names if isinstance(name, str)}, path
