"""How many listeners the service keeps in sound on this machine's CPU: `python -m bench.streams --left 0.5`.

The service decodes with the true NeuCodec (random weights). An engine in a second process gives every answer
its tokens at a set pace; in a third, N listeners hear one answer of ten seconds after the other, each as a
player would: from its first byte on, in real time, the next one asked for when the last has been heard.
An underrun is a moment at which a listener has heard all that has come. Results for N = 1, 2, 3, 4 and 6, and for
each `--left`, go to bench/results/streams-neucodec-cpu.json.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import uvloop

from app.codec import Codec
from app.settings import Settings
from bench.machine import write_result
from bench.paced_engine import paced_engine
from bench.served import serving

STREAMS = (1, 2, 3, 4, 6)
TOKENS = 500  # ten seconds
TOKENS_PER_S = 400
BYTES_PER_S = 48_000  # pcm: 24 kHz, 16 bit
STAGGER_S = 0.37  # between two listeners' first requests


@dataclass(slots=True)
class Playback:
    """An answer as its listener hears it; times on one clock, in seconds."""

    asked_s: float
    first_s: float = 0.0
    last_s: float = 0.0
    heard_until_s: float = 0.0
    audio_s: float = 0.0
    underruns: int = 0
    silent_s: float = 0.0

    def receive(self, now_s: float, audio_s: float) -> None:
        """More sound has come."""
        if not self.first_s:
            self.first_s = self.heard_until_s = now_s
        elif now_s > self.heard_until_s:
            self.underruns += 1
            self.silent_s += now_s - self.heard_until_s
            self.heard_until_s = now_s
        self.last_s = now_s
        self.heard_until_s += audio_s
        self.audio_s += audio_s


async def listen(session: aiohttp.ClientSession, url: str) -> Playback:
    """Ask for one answer and hear it to its end."""
    body = {"input": "A sentence.", "response_format": "pcm", "max_tokens": TOKENS}
    playback = Playback(time.monotonic())
    async with session.post(f"{url}/v1/audio/speech", json=body) as answer:
        answer.raise_for_status()
        async for data in answer.content.iter_any():
            playback.receive(time.monotonic(), len(data) / BYTES_PER_S)
    await asyncio.sleep(playback.heard_until_s - time.monotonic())
    return playback


async def listeners(url: str, streams: int, answers: int) -> list[Playback]:
    """So many at once, each through so many answers."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(place: int) -> list[Playback]:
            await asyncio.sleep(place * STAGGER_S)
            return [await listen(session, url) for _ in range(answers)]

        return [playback for heard in await asyncio.gather(*map(one, range(streams))) for playback in heard]


def summary(playbacks: Sequence[Playback]) -> dict[str, float]:
    """Medians and worst cases; a real-time factor is the time to the last byte over the answer's length."""
    first_ms = np.array([playback.first_s - playback.asked_s for playback in playbacks]) * 1000
    rtf = np.array([(playback.last_s - playback.asked_s) / playback.audio_s for playback in playbacks])
    return {
        "answers": len(playbacks),
        "first_audio_ms_p50": round(float(np.median(first_ms))),
        "first_audio_ms_max": round(float(first_ms.max())),
        "answers_with_an_underrun": sum(playback.underruns > 0 for playback in playbacks),
        "underruns": sum(playback.underruns for playback in playbacks),
        "silent_s": round(sum(playback.silent_s for playback in playbacks), 2),
        "rtf_p50": round(float(np.median(rtf)), 3),
        "rtf_max": round(float(rtf.max()), 3),
    }


def machine_busy_s() -> float:
    """CPU seconds that all of this machine's processes have used, and other machines of its host have taken."""
    fields = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")  # but idle and waiting for disks


async def heard(settings: Settings, codec: Codec, streams: int, answers: int) -> dict[str, float]:
    """What listeners in another process hear of a service in this one, and how many cores it takes."""
    async with serving(settings, codec) as url:
        command = (sys.executable, "-m", "bench.streams", "--url", url, "--streams", str(streams))
        begun_s, used_s, machine_s = time.monotonic(), time.process_time(), machine_busy_s()
        process = await asyncio.create_subprocess_exec(
            *command, "--answers", str(answers), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        wall_s = time.monotonic() - begun_s
        cores, all_cores = (time.process_time() - used_s) / wall_s, (machine_busy_s() - machine_s) / wall_s
    playbacks = [Playback(**fields) for fields in json.loads(output)]
    return {**summary(playbacks), "service_cores": round(cores, 2), "other_cores": round(all_cores - cores, 2)}


def load(left_context_s: float, max_window_frames: int | None) -> Codec:
    """NeuCodec as the service loads it, warm; `max_window_frames` other than its own for a trial."""
    from app.codec.load import CodecChoice, load_codec  # noqa: PLC0415  (imports torch, which the listeners do without)

    codec = load_codec(CodecChoice("neucodec", "random", left_context_s=left_context_s), "cpu")
    if max_window_frames:
        codec.spec = dataclasses.replace(codec.spec, max_window_frames=max_window_frames)  # type: ignore[misc]
    return codec


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Every number of listeners at every left context."""
    result: dict[str, object] = {
        "tokens_per_s_and_stream": TOKENS_PER_S,
        "answer_s": TOKENS / 50,
        "workers": arguments.workers,
        "max_batch_frames": arguments.batch_frames,
        "max_window_frames": arguments.window_frames,
        "other_cores": "taken by engine, listeners and whatever else ran on the machine",
    }
    with paced_engine("--tokens-per-s", str(TOKENS_PER_S)) as url:
        for left_s in arguments.left:
            codec = load(left_s, arguments.window_frames)
            settings = Settings(
                _env_file=None,  # type: ignore[call-arg]
                tts_api=url,
                log_level="warning",
                admission_utilisation=0,
                decode_workers=arguments.workers,
                max_batch_frames=arguments.batch_frames,
            )
            row: dict[str, object] = {}
            for streams in arguments.streams:
                row[f"streams_{streams}"] = rounded = uvloop.run(heard(settings, codec, streams, arguments.answers))
                print(left_s, streams, rounded, file=sys.stderr, flush=True)
                row["most_without_underrun"] = streams if not rounded["underruns"] else row.get("most_without_underrun")
            result[f"left_{left_s}_s"] = row
    return result


def main() -> None:
    """The command line: the measurement, or (`--url`) its listeners."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="listen to this service, and print what was heard")
    parser.add_argument("--streams", type=int, nargs="+", default=STREAMS)
    parser.add_argument("--answers", type=int, default=1, help="that each listener hears")
    parser.add_argument("--left", type=float, nargs="+", default=[0.5, 1.0], help="DECODE_LEFT_CONTEXT_S")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="DECODE_WORKERS")
    parser.add_argument("--batch-frames", type=int, help="MAX_BATCH_FRAMES")
    parser.add_argument("--window-frames", type=int, help="frames of the largest window")
    parser.add_argument("--name", default="streams-neucodec-cpu", help="of the file in bench/results/")
    arguments = parser.parse_args()
    if arguments.url:
        heard_by_all = uvloop.run(listeners(arguments.url, arguments.streams[0], arguments.answers))
        print(json.dumps([dataclasses.asdict(playback) for playback in heard_by_all]))
    else:
        write_result(arguments.name, measure(arguments))


if __name__ == "__main__":
    main()
