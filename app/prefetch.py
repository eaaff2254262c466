"""Command line `python -m app.prefetch`: fetch the codec's weights into the hub's cache."""

from __future__ import annotations

import sys

from app.codec.hub import DECODER_FILES, find_file
from app.codec.registry import CODECS, RANDOM
from app.config.checks import CONFIG_ERRORS, config_error_message
from app.config.profiles import Profile, load_profile
from app.config.settings import Settings
from app.errors import LoadError


def weights_to_fetch(settings: Settings, profile: Profile) -> list[tuple[str, tuple[str, ...]]]:
    """Return the sources that the settings need, each with alternative names of one file."""
    decoder = settings.codec_weights or profile.codec.weights
    codec = CODECS[profile.codec.name]
    files: list[tuple[str, tuple[str, ...]]] = [] if codec.bundled else [(decoder, DECODER_FILES)]
    if profile.clone_prompt and codec.encoder:
        encoder = settings.clone_weights or decoder
        files += [(encoder, (name,)) for name in codec.encoder.files]
    return [(source, names) for source, names in files if source != RANDOM]


def main() -> None:
    """Fetch missing files and print their paths; an error prints one line and exits with 1."""
    try:
        settings = Settings()
        files = weights_to_fetch(settings, load_profile(settings.profile_name))
        paths = dict.fromkeys(
            find_file(source, *names, report=_print_line) for source, names in files
        )
    except (*CONFIG_ERRORS, LoadError) as exc:
        sys.exit(config_error_message(exc))
    for path in paths:
        _print_line(f"{path}: {path.stat().st_size / 1e6:,.1f} MB")
    if not paths:
        _print_line("nothing to fetch: these settings need no weights from a hub")


def _print_line(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
