"""The decoder of recordings: whatever happens in its process, the service only rejects the file."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from app.child_process import child_environment
from app.cloning.decoder_process import MAX_DESCRIPTORS, DecodeTask
from app.cloning.decoding import MEMORY_BYTES, DecodeLimits, DecoderProcesses, FileDecoding
from app.cloning.recording import CONTAINERS, RATE_HZ, ReferenceLimits, decode_reference
from app.errors import CloningUnavailable, InvalidAudio, ReferenceTooLong, ReferenceTooShort
from tests.cloning.hostile import changing, eight_planes, of_samples, surround
from tests.cloning.recordings import recording, tone
from tests.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.fault(44)]
ROOT = Path(__file__).parents[2]
LIMITS = ReferenceLimits(min_s=1.0, max_s=5.0)
SAMPLE = recording("wav", 2.0)
CHANGING = changing()


def decoding(limit_s: float = 10.0, processes: DecoderProcesses | None = None) -> FileDecoding:
    return FileDecoding(
        SAMPLE, DecodeLimits(CONTAINERS, RATE_HZ, 5.0, limit_s), processes or DecoderProcesses()
    )


def replace_decoder(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Have another program stand in for the decoder."""
    monkeypatch.setattr(
        "app.cloning.decoding.child_command", lambda _: [sys.executable, "-I", "-S", "-c", program]
    )


def is_running(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_eight_planes_of_a_hundred_samples_are_too_short() -> None:
    with pytest.raises(ReferenceTooShort):
        decode_reference(eight_planes(), LIMITS)


@pytest.mark.parametrize(
    ("codec", "layout", "container"),
    [
        ("pcm_s16le", "7.1", "wav"),
        ("pcm_f32le", "7.1", "wav"),
        ("flac", "7.1", "flac"),
        ("pcm_s16le", "7.1", "mov"),
        ("pcm_s16le", "5.1", "wav"),
        ("pcm_f32le", "5.1", "matroska"),
    ],
)
def test_the_channels_of_a_surround_recording_are_averaged(
    codec: str, layout: str, container: str
) -> None:
    samples = decode_reference(surround(codec, layout, 2 * RATE_HZ, container), LIMITS)
    channels = {"7.1": 8, "5.1": 6}[layout]
    mean = np.linspace(1, 1 / channels, channels).mean()
    assert np.allclose(samples, mean * tone(2.0)[0], atol=1e-3)


def test_more_channels_than_eight_are_refused() -> None:
    with pytest.raises(InvalidAudio, match="at most 8 channels"):
        decode_reference(surround("pcm_s16le", "hexadecagonal", 2 * RATE_HZ), LIMITS)


def test_samples_that_are_not_there_take_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidAudio):
        decode_reference(of_samples(40_000_000), LIMITS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


@pytest.mark.parametrize("name", CHANGING)
def test_a_file_that_changes_in_the_middle_is_refused(name: str) -> None:
    with pytest.raises(InvalidAudio):
        decode_reference(CHANGING[name], LIMITS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_sample_that_is_no_number_is_refused(value: float) -> None:
    sound = tone(2.0, channels=2)
    sound[1, 777] = value
    with pytest.raises(InvalidAudio):
        decode_reference(recording("float", sound=sound, channels=2), LIMITS)


READY = "import os, sys; sys.stdin.buffer.readline(); os.write(1, b'R'); "
FAILURES = {
    "crash": READY + "os.kill(os.getpid(), 11)",
    "crash before the file is read": (
        "import os; os.write(1, b'R'); os.close(0); os.kill(os.getpid(), 11)"
    ),
    "exception": READY + "raise SystemError",
    "loop": READY + "\nwhile True: pass",
    "output without end": READY + "\nwhile True: os.write(1, bytes(100_000))",
    "noise": READY + "os.write(1, b'\\1\\2\\3')",
    "no channels": READY + "os.write(1, bytes(401))",
    "too many channels": READY + "os.write(1, b'\\xff' + bytes(255 * 4))",
    "errors without end": READY + "\nwhile True: os.write(2, bytes(100_000))",
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_decoder_that_fails_is_a_refusal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        replace_decoder(patch, FAILURES[name])
        with pytest.raises(InvalidAudio):
            decoding(limit_s=1.0).run()
    assert len(decoding().run()) == 2 * RATE_HZ


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "import no_such_module"])
def test_a_decoder_that_does_not_start_is_no_fault_of_the_file(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_decoder(monkeypatch, program)
    with pytest.raises(CloningUnavailable):
        decoding().run()


def test_a_process_that_cannot_be_started_is_no_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.cloning.decoding.child_command", lambda _: ["/no/such/python"])
    with pytest.raises(CloningUnavailable):
        decoding().run()


def test_more_sound_than_the_limit_says_so() -> None:
    with pytest.raises(ReferenceTooLong, match="at most 5 s"):
        decode_reference(recording("flac", 6.0), LIMITS)


def test_a_cancelled_decoding_kills_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_decoder(monkeypatch, READY + "\nwhile True: pass")
    running = decoding(limit_s=60.0)
    threading.Timer(0.2, running.cancel).start()
    with pytest.raises(InvalidAudio):
        running.run()
    assert running._process is not None
    assert running._process.returncode == -signal.SIGKILL


def test_a_decoding_that_is_cancelled_before_it_begins_starts_nothing() -> None:
    running = decoding()
    running.cancel()
    with pytest.raises(InvalidAudio):
        running.run()
    assert running._process is None


def test_the_next_process_waits_for_its_file_and_ends_with_the_others() -> None:
    processes = DecoderProcesses(spare=True)
    assert len(decoding(processes=processes).run()) == 2 * RATE_HZ
    spare = processes._spare
    assert spare is not None
    assert is_running(spare.pid)
    spare.kill()  # whoever does this
    wait_until(lambda: not is_running(spare.pid))
    assert len(decoding(processes=processes).run()) == 2 * RATE_HZ
    spare = processes._spare
    assert spare is not None
    processes.close()
    assert spare.returncode is not None
    processes.prepare()
    assert processes._spare is None


def test_refused_files_leave_no_descriptor_and_no_process() -> None:
    def left() -> tuple[int, int]:
        children = (
            Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children")
            .read_text()
            .split()
        )
        return len(list(Path("/proc/self/fd").iterdir())), len(children)

    before = left()
    for _ in range(3):
        with pytest.raises(InvalidAudio):
            decode_reference(b"not audio", LIMITS)
    assert left() == before


def test_the_process_ends_with_a_service_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import time; from app.cloning.decoding import DecoderProcesses; "
        "print(DecoderProcesses().take().pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
    ) as service:
        assert service.stdout is not None
        process_id = int(service.stdout.readline())
        assert is_running(process_id)
        service.kill()
    wait_until(lambda: not is_running(process_id))


def test_the_process_reads_no_module_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("av", "json", "app"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert len(decoding().run()) == 2 * RATE_HZ


def test_the_process_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_API_KEY", "secret")
    assert set(child_environment()) <= {"LD_LIBRARY_PATH"}


def file_of(process: int | str, descriptor: int) -> str:
    """The name of a process's open file; empty where it has none of that number."""
    try:
        return str(Path(f"/proc/{process}/fd/{descriptor}").readlink())
    except FileNotFoundError:
        return ""


@pytest.mark.fault(44)
def test_the_process_gets_no_descriptor_of_the_service() -> None:
    ends = os.pipe()
    for end in ends:
        os.set_inheritable(end, True)
    process = DecoderProcesses().take()
    try:
        assert all(file_of("self", end) not in ("", file_of(process.pid, end)) for end in ends)
    finally:
        process.kill()
        process.communicate()
        for end in ends:
            os.close(end)


def test_the_process_is_confined() -> None:
    task = DecodeTask(100, CONTAINERS, RATE_HZ, 100, 1.0, cpu_s=7, memory_bytes=MEMORY_BYTES)
    program = f"""
import os, resource, sys
sys.path += {sys.path!r}
from app.cloning.decoder_process import DecodeTask, limit_process
limit_process(DecodeTask.parse({task.line()!r}))
kinds = ["DATA", "CPU", "CORE", "FSIZE", "NOFILE"]
limits = [resource.getrlimit(getattr(resource, "RLIMIT_" + kind)) for kind in kinds]
print(limits, len(os.sched_getaffinity(0)))
bytearray({MEMORY_BYTES})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    limits = [(most, most) for most in (MEMORY_BYTES, 7, 0, 0, MAX_DESCRIPTORS)]
    assert done.stdout == f"{limits} 1\n"
    assert "MemoryError" in done.stderr
