"""Makes `.venv` and installs requirements into it, when they changed: `python3 scripts/environment.py FILE…`.

Standard library only: it runs before anything is installed.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import venv
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
FOLDER = TOP / ".venv"
# PyTorch's own index of builds without CUDA: 0.2 GB instead of several.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
LARGE = re.compile(r"\s*Downloading (?P<file>\S+) \((?P<size>\d{2,}(\.\d+)? MB|\d+(\.\d+)? GB)\)")


def fail(message: str) -> None:
    print(message, file=sys.stderr)
    raise SystemExit(1)


def make_environment() -> Path:
    """`.venv` with pip; returns its python."""
    python = FOLDER / "bin" / "python"
    if (
        python.exists()
        and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0
    ):
        return python
    print("Making the environment in .venv", flush=True)
    try:
        venv.create(FOLDER, with_pip=True, clear=True, symlinks=True)
    except (subprocess.CalledProcessError, OSError, ImportError) as error:
        shutil.rmtree(FOLDER, ignore_errors=True)
        fail(
            f"A virtual environment could not be made ({error}). On Debian and Ubuntu install the package "
            f"python{sys.version_info[0]}.{sys.version_info[1]}-venv (or python3-venv), then try again."
        )
    return python


def wants_cpu_torch() -> bool:
    """Whether the CPU build of torch is the right one here. SCALEWEB_TORCH=cpu or default says so itself."""
    wanted = os.environ.get("SCALEWEB_TORCH", "")
    if wanted:
        return wanted == "cpu"
    if platform.system() != "Linux":
        return False  # elsewhere the ordinary build has no CUDA
    gpu = (
        shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists() or Path("/proc/driver/nvidia").exists()
    )
    return not gpu


def answers(url: str) -> bool:
    try:
        asked = urllib.request.Request(url + "/torch/", method="HEAD")  # noqa: S310  the constant above
        with urllib.request.urlopen(asked, timeout=5):  # noqa: S310
            return True
    except (urllib.error.URLError, OSError, ValueError):
        return False


def news(line: str) -> str:
    """What is worth saying of a line of pip's, lest minutes pass in silence: what takes long."""
    if large := LARGE.match(line):
        return f"  downloading {large['file'].rpartition('/')[2]} ({large['size']})"
    if line.startswith("Installing collected packages: "):
        return f"  unpacking {line.count(',') + 1} packages"
    return ""


def install(python: Path, files: list[str]) -> None:
    digest = hashlib.sha256(sys.version.encode())
    for name in ["requirements.txt", *files]:
        digest.update((TOP / name).read_bytes())
    stamp = FOLDER / f"installed-{Path(files[-1]).stem}"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    print(f"Installing {', '.join(files)}: some minutes, most of them for torch", flush=True)
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    for name in files:
        command += ["-r", str(TOP / name)]
    if wants_cpu_torch() and answers(TORCH_CPU_INDEX):
        command += ["--extra-index-url", TORCH_CPU_INDEX]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pip:
        for line in pip.stdout or []:
            if said := news(line):
                print(said, flush=True)
    if pip.returncode != 0:
        fail("The requirements could not be installed; pip says why above.")
    stamp.write_text(digest.hexdigest())


def offer_sdk(python: Path) -> None:
    """`import scaleweb_sdk` and the command `scaleweb` in this environment, straight from the sources."""
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    link = packages / "scaleweb_sdk"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(TOP / "scaleweb_sdk")
    script = FOLDER / "bin" / "scaleweb"
    # -P: a token.py or logging.py beside somebody's training is theirs, and no part of the command.
    words = f'#!/bin/sh\nexec "{python}" -P -m scaleweb_sdk "$@"\n'
    if not script.exists() or script.read_text() != words:
        script.write_text(words)
        script.chmod(0o755)


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  it may well be run by an older one
        fail(
            f"Python 3.11 or newer is needed; this is {platform.python_version()}. Name one: make PYTHON=python3.12"
        )
    python = make_environment()
    install(python, sys.argv[1:] or ["requirements.txt"])
    offer_sdk(python)


if __name__ == "__main__":
    main()
