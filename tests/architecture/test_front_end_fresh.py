"""The committed front-end build belongs to the sources beside it. No Node is needed to know."""

import hashlib
from pathlib import Path

FRONTEND = Path(__file__).parents[2] / "frontend"
# The same list as frontend/scripts/stamp.js, which writes what is compared here.
FOLDERS = ["src", "public"]
FILES = [
    "index.html",
    "package.json",
    "package-lock.json",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.js",
]


def sources() -> list[str]:
    found = [path for folder in FOLDERS for path in (FRONTEND / folder).rglob("*") if path.is_file()]
    names = [path.relative_to(FRONTEND).as_posix() for path in found] + FILES
    return sorted(name for name in names if not name.endswith(".test.ts"))


def digest_of_sources() -> str:
    digest = hashlib.sha256()
    for name in sources():
        digest.update(f"{name}\0".encode())
        digest.update((FRONTEND / name).read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()


def test_the_committed_build_is_as_new_as_its_sources():
    stamp = (FRONTEND / "dist" / "sources.sha256").read_text().strip()
    assert stamp == digest_of_sources(), "dist is older than its sources: npm run build, and commit it"


def test_the_built_page_holds_nothing_inline_that_its_policy_forbids():
    page = (FRONTEND / "dist" / "index.html").read_text()
    for piece in page.split("<script")[1:]:
        assert " src=" in piece.split(">", 1)[0], f"an inline script: <script{piece[:80]}"
    assert "<style" not in page
    assert " onload=" not in page
