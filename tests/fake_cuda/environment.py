"""The environment `.venv-fake-cuda`: torch's CUDA wheel, with a fake driver for NVIDIA's libraries.

python -m tests.fake_cuda.environment    # install it; prints the path of its interpreter
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Final

from tests.vllm.environment import CannotInstall, run

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
FOLDER: Final = ROOT / ".venv-fake-cuda"
PYTHON: Final = FOLDER / "bin" / "python"
LOCK: Final = Path(f"{FOLDER}.lock")
DRIVER: Final = HERE / "driver"
# Headers of CUDA, and the compiler that the service uses for its own kernels.
CUDA_WHEELS: Final = (
    "nvidia-cuda-runtime>=13.0,<13.1",
    "nvidia-cuda-crt>=13.0,<13.1",
    "nvidia-cuda-nvrtc>=13.0,<13.1",
)
FREE_BYTES: Final = 3_000_000_000  # wheels and 1.3 GB of installed files
LIBRARY: Final = "libcuda.so.1"
# Libraries and functions of NVIDIA's.
LIBRARIES: Final = re.compile(r"lib(cu|nv|nccl)")
FUNCTIONS: Final = re.compile(
    r"(__)?cuda[A-Z]|cu[A-Z]|cublas|cudnn|cufft|cupti|curand|cusolver|cusparse|nccl|nvshmem"
)


def fake_cuda_python() -> Path:
    """Return the interpreter of the environment, which is installed first if need be.

    All packages but torch are those of this interpreter's environment.

    Raises:
        CannotInstall: no network, no room, no compiler, or no wheel for this machine.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise CannotInstall("torch's CUDA wheel and the fake driver need Linux on x86-64")
    if missing := [name for name in ("g++", "nm", "readelf") if not shutil.which(name)]:
        raise CannotInstall(f"not installed: {', '.join(missing)}")
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of the other test processes
        _install_packages()
        _build_driver()
    return PYTHON


def _install_packages() -> None:
    packages = [*_torch_requirement(), *CUDA_WHEELS]
    others = sysconfig.get_path("purelib")  # packages of this interpreter's environment
    mark, installed = FOLDER / "installed.txt", "\n".join([*packages, others])
    if mark.is_file() and mark.read_text() == installed:
        return
    if shutil.disk_usage(ROOT).free < FREE_BYTES:
        raise CannotInstall(f"less than {FREE_BYTES / 1e9:.0f} GB of free disk")
    run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
    run(str(PYTHON), "-m", "pip", "install", "--no-deps", "--no-compile", *packages)
    (_site_packages() / "others.pth").write_text(f"{others}\n")
    mark.write_text(installed)


def _torch_requirement() -> list[str]:
    """Return the version of torch in pyproject.toml, for pip.

    `===` means that very name; `==2.13.0` would also mean the CPU's wheel, 2.13.0+cpu.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        name.replace("==", "===") for name in project["dependencies"] if name.startswith("torch==")
    ]


def _site_packages() -> Path:
    return next(FOLDER.glob("lib/python*/site-packages"))


def _build_driver() -> None:
    """Compile the fake driver, if its sources have changed, to where torch looks for libraries.

    One library stands for the driver and for all of NVIDIA's libraries but NVRTC, which is real.
    """
    libraries = _site_packages() / "nvidia" / "cu13" / "lib"
    sources = sorted(DRIVER.iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in [*sources, Path(__file__)]))
    mark = libraries / "fake-driver.txt"
    if mark.is_file() and mark.read_text() == digest.hexdigest():
        return
    torch_libraries = sorted((_site_packages() / "torch" / "lib").glob("*.so"))
    needed = _needed_libraries(torch_libraries)
    for path in libraries.iterdir():
        if "nvrtc" not in path.name:
            path.unlink()
    missing = libraries / "missing.cpp"
    missing.write_text(_missing_functions(torch_libraries))
    _output(
        *("g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"),
        *("-fvisibility=hidden", f"-Wl,-soname,{LIBRARY}", f"-I{libraries.parent / 'include'}"),
        *("-o", libraries / LIBRARY),
        *(*DRIVER.glob("*.cpp"), missing),
    )
    for name in needed - {path.name for path in libraries.iterdir()}:
        (libraries / name).symlink_to(LIBRARY)
    mark.write_text(digest.hexdigest())


def _needed_libraries(torch_libraries: list[Path]) -> set[str]:
    dynamic = _output("readelf", "-d", *torch_libraries)
    return {name for name in re.findall(r"NEEDED.*\[(.*)\]", dynamic) if LIBRARIES.match(name)}


def _missing_functions(torch_libraries: list[Path]) -> str:
    """Write a weak function for each that torch imports from NVIDIA's libraries.

    It logs its name and returns an error, unless the fake driver has a function of that name.
    """
    imported = _symbols("--undefined-only", torch_libraries)
    exported = _symbols("--defined-only", torch_libraries)
    names = sorted(name for name in imported - exported if FUNCTIONS.match(name))
    lines = [
        'extern "C" void fake_cuda_missing(const char*);',
        "#define MISSING(name) \\",
        '    extern "C" __attribute__((weak, visibility("default"))) int name() { \\',
        "        fake_cuda_missing(#name); \\",
        "        return 999; /* cudaErrorUnknown */ \\",
        "    }",
        *(f"MISSING({name})" for name in names if "nvrtc" not in name),
    ]
    return "\n".join(lines) + "\n"


def _symbols(which: str, libraries: list[Path]) -> set[str]:
    listed = _output("nm", "-D", which, *libraries).splitlines()
    return {line.split()[-1].partition("@")[0] for line in listed if " " in line}


def _output(*command: str | Path) -> str:
    ended = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True
    )
    if ended.returncode:
        raise RuntimeError(f"{command[0]}: {ended.stderr}")
    return ended.stdout


if __name__ == "__main__":
    print(fake_cuda_python())
