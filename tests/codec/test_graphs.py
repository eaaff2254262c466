"""Captured decode calls: the audio of the eager codec for every shape."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.fx.experimental import _config as symbolic_shapes

from app.audio.samples import Samples
from app.codec import CodeWindow, Decoding, DeviceLost, OverlappingCodec
from app.codec.batch_decoder import network_decoder
from app.codec.cuda import Event, Replay
from app.codec.eager import EagerCodec
from app.codec.graph_grid import Grid
from app.codec.graphs import GraphedCodec
from app.codec.neucodec.decoder import Size
from app.codec.neucodec.load import load_neucodec
from app.codec.snac import load_snac
from tests.audio_checks import snr_db
from tests.codec.host import Host, Reached
from tests.fakes import tone_spec
from tests.metric_values import counted

GRID = Grid((1, 2, 4), (32, 64))
SPEC = tone_spec(samples_per_frame=4)


def window(codec: OverlappingCodec, frames: int, seed: int, context: int = 0) -> CodeWindow:
    shape = frames, codec.spec.codes_per_frame
    codes = np.random.default_rng(seed).integers(0, codec.spec.vocabulary, shape, np.int32)
    return CodeWindow(codes, 11 * seed, context)


def code_values(codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
    """A network whose samples tell code, place and length: code / 65536 + place / 100 + frames /
    10000.
    """
    assert frames is not None
    per_frame = codes[..., 0] / 65_536 + (first_frames / 100 + frames / 10_000)[:, None]
    return per_frame.repeat_interleave(SPEC.samples_per_frame, 1)


def told(asked: CodeWindow) -> Samples:
    values = asked.codes[:, 0] / 65_536 + asked.first_frame / 100 + len(asked.codes) / 10_000
    return np.repeat(values[asked.context_frames :], SPEC.samples_per_frame).astype(np.float32)


def graphed(
    host: Host | None = None, *, int16_samples: bool = False, network: object = code_values
) -> GraphedCodec:
    codec = GraphedCodec(
        EagerCodec(SPEC, network, "cpu"), host or Host(), GRID, int16_samples=int16_samples
    )  # type: ignore[arg-type]
    codec.capture()
    return codec


def test_every_shape_is_captured_and_progress_is_told() -> None:
    host, told_of = Host(), list[str]()
    codec = GraphedCodec(EagerCodec(SPEC, code_values, "cpu"), host, GRID, int16_samples=False)
    codec.capture(told_of.append)
    assert host.captured == 6
    assert told_of[-1] == "captured 6 of 6 decode graphs"
    assert codec.spec.frame_steps == (32, 64)


@pytest.mark.parametrize("int16_samples", [False, True])
def test_windows_get_their_own_sound_without_their_context(int16_samples: bool) -> None:
    codec = graphed(int16_samples=int16_samples)
    windows = [
        window(codec, frames, seed, context)
        for seed, (frames, context) in enumerate([(1, 0), (33, 20), (5, 4)])
    ]
    for asked, samples in zip(windows, codec.decode(windows), strict=True):
        assert samples.dtype == np.float32
        assert np.abs(samples - told(asked)).max() <= (3.1e-5 if int16_samples else 1e-6)


@pytest.mark.fault(61)
def test_a_network_that_copies_from_the_host_cannot_be_captured() -> None:
    """The stand-in follows the rule that the real codecs below are held to."""

    def network(codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
        return code_values(codes[..., [0]], first_frames, frames)

    with pytest.raises(RuntimeError, match="graph capture"):
        graphed(network=network)


@pytest.mark.fault(61)
def test_the_device_is_settled_before_the_first_call() -> None:
    """The buffers are filled on another stream than the one that reads them."""
    calls: list[str] = []

    class Watched(Host):
        def warm_up(self, run: Callable[[], None]) -> None:
            calls.append("warm up")

        def synchronize(self) -> None:
            calls.append("settle")

    graphed(Watched())
    assert calls[:3] == ["settle", "warm up", "settle"]


def test_rows_and_places_of_an_earlier_batch_leave_no_trace() -> None:
    codec = graphed()
    codec.decode([window(codec, 64, seed) for seed in range(4)])
    asked = window(codec, 40, 9)
    (samples,) = codec.decode([asked])
    assert np.abs(samples - told(asked)).max() <= 1e-6


def test_no_row_of_a_call_is_ever_empty() -> None:
    """The pitch of the built-in codec, for one, is looked up at a row's last frame."""
    lengths: list[Tensor] = []

    def network(codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
        assert frames is not None
        lengths.append(frames.clone())
        return code_values(codes, first_frames, frames)

    codec = graphed(network=network)
    for rows in (3, 3, 4, 4, 1, 3):  # both slots, before a full batch and after it
        codec.decode([window(codec, 64, seed) for seed in range(rows)])
    assert min(int(rows.min()) for rows in lengths) == 1


@given(
    batches=st.lists(st.lists(st.integers(1, 64), min_size=1, max_size=4), min_size=1, max_size=6),
    data=st.data(),
)
def test_two_batches_in_flight_and_one_that_is_read_keep_their_samples(
    batches: list[list[int]], data: st.DataObject
) -> None:
    codec = graphed()
    waiting = deque(
        [window(codec, frames, data.draw(st.integers(0, 99))) for frames in lengths]
        for lengths in batches
    )
    in_flight: deque[tuple[list[CodeWindow], Decoding]] = deque()
    read: list[tuple[list[CodeWindow], Decoding]] = []
    while waiting or in_flight or read:
        steps = ["submit"] * bool(waiting and len(in_flight) < 2)
        steps += ["wait"] * bool(in_flight and not read) + ["read"] * len(read)
        step = data.draw(st.sampled_from(steps))
        if step == "submit":
            in_flight.append((waiting[0], codec.submit(waiting.popleft())))
        elif step == "wait":
            read.append(in_flight.popleft())
            read[0][1].wait()
        else:
            windows, decoding = read.pop()
            for asked, samples in zip(windows, decoding.samples(), strict=True):
                assert np.abs(samples - told(asked)).max() < 1e-6


class LostEvent(Reached):
    """An event of a device that fails."""

    def synchronize(self) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")


def test_a_device_that_fails_during_the_wait_is_lost() -> None:
    class Failing(Host):
        def event(self) -> Event:
            return LostEvent()

    codec = GraphedCodec(
        EagerCodec(replace(SPEC, seamless=True), code_values, "cpu"),
        Failing(),
        GRID,
        int16_samples=False,
    )
    codec.capture()
    with pytest.raises(DeviceLost):
        codec.submit([window(codec, 3, 0)]).wait()


@pytest.mark.parametrize("lengths", [(65,), (1, 1, 1, 1, 1)])
def test_what_fits_no_shape_is_decoded_all_the_same_and_counted(lengths: tuple[int, ...]) -> None:
    host = Host()
    codec = graphed(
        host, network=lambda codes, places, frames: code_values(codes, places, full(codes, frames))
    )
    windows = [window(codec, frames, seed) for seed, frames in enumerate(lengths)]
    missed = counted("tts_decode_graph_misses_total")
    for asked, samples in zip(windows, codec.decode(windows), strict=True):
        assert np.abs(samples - told(asked)).max() < 1e-6
    assert counted("tts_decode_graph_misses_total") == missed + 1
    assert host.replayed == 0


def full(codes: Tensor, frames: Tensor | None) -> Tensor:
    return torch.full((len(codes),), codes.shape[1]) if frames is None else frames


def test_sound_over_full_scale_is_kept_for_the_limiter() -> None:
    codec = graphed(
        int16_samples=True,
        network=lambda codes, *_: torch.full((len(codes), codes.shape[1] * 4), 1.7),
    )
    (samples,) = codec.decode([window(codec, 3, 0)])
    assert np.abs(samples - 1.7).max() < 1e-4


@pytest.mark.parametrize("int16_samples", [False, True])
def test_a_row_that_is_not_sound_says_so_and_its_neighbours_are(int16_samples: bool) -> None:
    def network(codes: Tensor, places: Tensor, frames: Tensor | None) -> Tensor:
        sound = code_values(codes, places, frames)
        return torch.where(codes[:, :1, 0] == 7, torch.inf, sound)

    codec = graphed(int16_samples=int16_samples, network=network)
    good, bad = window(codec, 6, 1), CodeWindow(np.full((6, 1), 7, np.int32))
    decoded = codec.decode([bad, good])
    assert np.isnan(decoded[0]).all() or np.isinf(decoded[0]).all()
    assert np.abs(decoded[1] - told(good)).max() <= 3.1e-5


def test_a_batch_that_cannot_be_begun_gives_its_place_back() -> None:
    codec = graphed()
    broken = CodeWindow(np.zeros((3, 2), np.int32))  # two codes a frame do not fit in one
    for _ in range(3):
        with pytest.raises(ValueError, match="broadcast"):
            codec.submit([broken])
    assert len(codec.decode([window(codec, 3, 0)])) == 1


class Unrecorded(Host):
    """A stand-in without `CaptureRules`, under which torch.compile does not compile."""

    def capture(self, run: Callable[[], None]) -> Replay:
        run()
        return run


@pytest.mark.process
def test_a_network_is_compiled_once_for_a_single_row_and_once_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        compiled.append(graph)
        return graph.forward

    monkeypatch.setattr(symbolic_shapes, "use_duck_shape", True)  # torch's default
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    eager = load_neucodec(
        "random",
        device="cpu",
        dtype=torch.float32,
        left_context_frames=50,
        size=Size(width=64, depth=1),
    )
    grid = Grid((1, 2, 32), (32, 64))  # 32 rows of 32 frames: equal by chance
    decoder = network_decoder(eager.network, compiled=True)
    GraphedCodec(eager, Unrecorded(), grid, int16_samples=False, decoder=decoder).capture()
    assert len(compiled) == 2


@pytest.mark.process
@pytest.mark.fault(61)
@pytest.mark.parametrize("name", ["neucodec", "snac"])
def test_real_codecs_in_a_shape_sound_as_alone(name: str) -> None:
    if name == "neucodec":
        size = Size(width=128, depth=2)
        eager = load_neucodec(
            "random", device="cpu", dtype=torch.float32, left_context_frames=50, size=size
        )
        grid, lengths = GRID, (1, 30, 33)
    else:
        eager = load_snac("random", device="cpu", dtype=torch.float32)
        grid, lengths = Grid((1, 4), (8,)), (1, 7, 4)
    codec = GraphedCodec(eager, Host(), grid, int16_samples=False)
    codec.capture()
    windows = [window(codec, frames, seed) for seed, frames in enumerate(lengths)]
    for asked, samples in zip(windows, codec.decode(windows), strict=True):
        (alone,) = eager.decode([asked])
        assert snr_db(alone, samples) >= 90
        assert snr_db(alone[-480:], samples[-480:]) >= 90
