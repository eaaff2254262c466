"""Decode a recorded request again: `python -m app.replay FILE OUT.wav`.

The file holds codes and windows, no text. The codec is loaded by the service's settings, and the
windows are those that the service decoded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from app.audio.encoders import make_encoder
from app.audio.samples import Samples
from app.audio.stitch import FADE_S, Stitcher
from app.codec import Codec
from app.codec.load import CodecOptions, load_codec, pick_devices
from app.codec.spec import CodecSpec
from app.config.checks import CONFIG_ERRORS, config_error_message
from app.config.profiles import ProfileError, load_profile
from app.config.settings import Settings
from app.errors import LoadError
from app.replay.store import RecordedSegment, ReplayRecord
from app.synthesis.window_decoder import CarriedContext
from app.tokens.code_buffer import CodeBuffer, FrameLayout
from app.tokens.windows import Window


def replay_samples(replay: ReplayRecord, codec: Codec) -> Samples:
    """Return the codec's output before fades, level and tempo.

    Frames that the service had not decoded follow in large windows.
    """
    spec = codec.spec
    context = CarriedContext(replay.left_frames, spec.codes_per_frame)
    samples: list[Samples] = []
    for segment in replay.takes:
        if segment.codes:
            samples += _segment_samples(segment, context, codec, replay.left_frames)
        else:
            context.skip_frames(round(segment.pause_s * spec.frames_per_s))
            samples.append(np.zeros(round(segment.pause_s * spec.sample_rate_hz), np.float32))
    return np.concatenate(samples) if samples else np.zeros(0, np.float32)


def _segment_samples(
    segment: RecordedSegment, context: CarriedContext, codec: Codec, left_frames: int
) -> Iterator[Samples]:
    spec = codec.spec
    layout = FrameLayout(0, spec.codes_per_frame, spec.vocabulary)
    codes = CodeBuffer(layout, len(segment.codes) * spec.codes_per_frame)
    codes.feed(
        [
            slot * spec.vocabulary + code
            for frame in segment.codes
            for slot, code in enumerate(frame)
        ]
    )
    stitcher = Stitcher(
        spec.samples_per_frame, 0 if spec.seamless else round(FADE_S * spec.sample_rate_hz)
    )
    for window in (*segment.windows, *_not_decoded(segment, spec, left_frames)):
        yield stitcher.feed(window, codec.decode([context.window(codes, window)])[0])
    context.append(codes)


def _not_decoded(segment: RecordedSegment, spec: CodecSpec, left_frames: int) -> Iterator[Window]:
    """Yield the largest windows over the frames after the last decoded window."""
    right_frames = max(1, spec.right_context_frames)
    frames = len(segment.codes)
    hop = max(1, spec.max_window_frames - left_frames - right_frames)
    for begin in range(segment.windows[-1].end if segment.windows else 0, frames, hop):
        end = min(frames, begin + hop)
        stop = min(frames, end + right_frames)
        yield Window(max(0, begin - left_frames), begin, end, stop, last=end == frames)


def read_replay(path: Path) -> ReplayRecord:
    """Read a file that the service wrote.

    Raises:
        OSError: the file cannot be read.
        pydantic.ValidationError: the file holds something else.
    """
    return TypeAdapter(ReplayRecord).validate_json(path.read_bytes())


def _load_codec(replay: ReplayRecord, settings: Settings) -> Codec:
    """Load the codec that the settings name, on one device.

    Raises:
        ProfileError: the file was made with another codec.
        LoadError: the codec cannot be loaded.
    """
    profile = load_profile(settings.profile_name)
    if profile.codec.name != replay.codec:
        raise ProfileError(
            f"the file's codec is {replay.codec}: set MODEL_PROFILE to a profile with that codec"
        )
    weights = settings.codec_weights or profile.codec.weights
    left_s = settings.neucodec_context_s
    choice = CodecOptions(
        profile.codec.name, weights, dtype=settings.codec_dtype, left_context_s=left_s, graph_s=()
    )
    return load_codec(choice, pick_devices(profile.codec.name, settings.device)[0])


def main(arguments: list[str]) -> None:
    """Write the audio of a file; exit with one readable line on an error."""
    if len(arguments) != 2:
        sys.exit("python -m app.replay FILE OUT.wav")
    try:
        settings = Settings()
    except CONFIG_ERRORS as exc:
        sys.exit(config_error_message(exc))
    try:
        _write(read_replay(Path(arguments[0])), settings, Path(arguments[1]))
    except (OSError, ProfileError, LoadError) as exc:
        sys.exit(str(exc))
    except ValidationError as exc:
        sys.exit(f"{arguments[0]}: {exc.errors()[0]['msg']}")


def _write(replay: ReplayRecord, settings: Settings, out: Path) -> None:
    codec = _load_codec(replay, settings)
    encoder = make_encoder("wav", codec.spec.sample_rate_hz, whole=True)
    body = encoder.feed(replay_samples(replay, codec)) + encoder.finish()
    out.write_bytes(encoder.header() + body)
    seconds = len(body) / 2 / codec.spec.sample_rate_hz
    print(f"request {replay.request_id}, {replay.cause}: {seconds:.2f} s")
