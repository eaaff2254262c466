"""Warnings for settings that have no effect in combination with the others."""

from __future__ import annotations

from collections.abc import Iterator

from app.codec.registry import CODECS
from app.config.profiles import Profile
from app.config.settings import Settings


def ineffective_settings(
    settings: Settings, profile: Profile, devices: tuple[str, ...]
) -> Iterator[str]:
    """Yield a warning for each such setting; `devices` are the codec's."""
    if settings.max_concurrent_requests_per_key is not None and not settings.api_keys:
        yield "MAX_CONCURRENT_REQUESTS_PER_KEY has no effect without API_KEYS"
    if settings.tts_api_key and settings.engine_urls is None:
        yield "TTS_API_KEY has no effect without ENGINE_URLS"
    if CODECS[profile.codec.name].bundled:
        if settings.codec_weights is not None:
            yield f"CODEC_WEIGHTS has no effect on the codec {profile.codec.name}"
        if settings.codec_dtype != "auto":
            yield f"CODEC_DTYPE has no effect on the codec {profile.codec.name}"
        if settings.device not in ("auto", "cpu"):
            yield f"DEVICE has no effect on the codec {profile.codec.name}, which runs on the CPU"
    if settings.torch_compile and (why := _uncompiled(settings, profile, devices)):
        yield f"TORCH_COMPILE has no effect {why}"


def _uncompiled(settings: Settings, profile: Profile, devices: tuple[str, ...]) -> str | None:
    """Return the reason why nothing is compiled, or None; only CUDA graphs are compiled."""
    if not CODECS[profile.codec.name].graph_frames:
        return f"on the codec {profile.codec.name}"
    if devices == ("cpu",):
        return "on a CPU"
    return "with CUDA_GRAPH_LENGTHS_S=[]" if settings.cuda_graph_lengths_s == () else None
