"""Memory and calls of the fake driver, for a process that runs under it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Call:
    """A call of CUDA that the fake driver logged.

    `kind` is that of a node (kernel, product, transform, convolution, copy, fill, graph), or of
    another call: "synchronize", "record", "begin capture", "end capture", "refused", "missing" …
    """

    kind: str
    device: int
    stream: int  # 0: the default stream
    captured: bool
    detail: str

    @property
    def short(self) -> str:
        """The kind, with the direction of a copy or the object that is waited for."""
        if self.kind == "copy":
            return f"copy {self.detail.rpartition(' ')[0]}"
        return f"{self.kind} {self.detail}" if self.kind == "synchronize" else self.kind


class FakeDriver:
    """The fake driver of this process."""

    def __init__(self, folder: Path) -> None:
        """Keep logs in `folder`."""
        self._library = ctypes.CDLL("libcuda.so.1")
        for name in ("held", "peak", "pinned"):
            getattr(self._library, f"fake_cuda_{name}_bytes").restype = ctypes.c_size_t
        self._log = folder / "calls.txt"

    @property
    def held_mb(self) -> float:
        """Device memory that is allocated now, of all devices."""
        return self._library.fake_cuda_held_bytes() / 1e6

    @property
    def peak_mb(self) -> float:
        """The most device memory that was allocated since `reset_peak`."""
        return self._library.fake_cuda_peak_bytes() / 1e6

    @property
    def pinned_mb(self) -> float:
        """Page-locked memory of the host."""
        return self._library.fake_cuda_pinned_bytes() / 1e6

    def reset_peak(self) -> None:
        self._library.fake_cuda_reset_peak()

    @contextmanager
    def memory_of(self, mb: float) -> Iterator[None]:
        """Give every device this much memory within the block."""
        self._library.fake_cuda_set_memory_mb(ctypes.c_size_t(int(mb * 1e6) >> 20))
        try:
            yield
        finally:
            self._library.fake_cuda_set_memory_mb(ctypes.c_size_t(0))

    def fail_next(self, function: str) -> None:
        """Let the next call of this function fail: see `fails_now` in driver/."""
        self._library.fake_cuda_fail_next(function.encode())

    @contextmanager
    def logged(self) -> Iterator[list[Call]]:
        """Yield a list, which has the calls of the block after its end."""
        calls: list[Call] = []
        self._library.fake_cuda_log(str(self._log).encode())
        try:
            yield calls
        finally:
            self._library.fake_cuda_log(None)
            for line in self._log.read_text(encoding="utf-8").splitlines():
                kind, device, stream, state, detail = line.split("\t")
                calls.append(Call(kind, int(device), int(stream), state == "captured", detail))


def graph_nodes(calls: list[Call]) -> list[int]:
    """Return the number of nodes of each graph, in the order of their capture."""
    return [int(call.detail) for call in calls if call.kind == "end capture"]


def of_kind(calls: list[Call], *kinds: str) -> list[Call]:
    return [call for call in calls if call.kind in kinds]
