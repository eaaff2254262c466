"""`python -m tests.slow.cloning_service`: a model that clones voices, with codes without cost."""

from __future__ import annotations

from app.audio.samples import Samples
from app.main import create_app
from app.server.server import serve
from tests.fakes import UNREACHABLE, FixedEngine, ToneCodec, tone_codes
from tests.live_server import settings_for_tests


class CountedEncoder:
    """Encodes a recording of 16 kHz as one code for every 20 ms."""

    def encode(self, samples: Samples) -> tuple[int, ...]:
        """Return the numbers of the codes."""
        return tuple(range(len(samples) // 320))


def main() -> None:
    """Serve until SIGTERM."""
    settings = settings_for_tests(engine_urls=UNREACHABLE)
    engine = FixedEngine(tone_codes(150))
    app = create_app(settings, engine=engine, codec=ToneCodec(), load_encoder=CountedEncoder)
    serve(app, settings)


if __name__ == "__main__":
    main()
