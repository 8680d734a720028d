"""The files of a job: a folder packed and sent, or a revision that its node fetches."""

import argparse
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scaleweb_sdk.pack import CannotPack, Packed, pack
from scaleweb_sdk.rest import request

from .site import Site, Wrong

PIECE_BYTES = 4 * 2**20
SEND_SECONDS = 60.0
HERE = "."


def chosen(options: argparse.Namespace, site: Site) -> dict[str, Any]:
    """The fields of a job that say where its files are from; sends them where they are from here."""
    if options.send and options.git:
        raise Wrong("--send and --git: one of them")
    if options.git and options.git != HERE:
        url, at, revision = options.git.rpartition("@")
        if not at or not url or not revision or "/" in revision.partition(":")[2] or ":" in revision:
            raise Wrong(
                f"--git {options.git}: expected URL@REVISION, or --git alone for the repository of this folder"
            )
        return {"git": {"url": url, "revision": revision}, "cwd": options.cwd}
    folder = Path(options.send or HERE)
    with tempfile.TemporaryDirectory(prefix="scaleweb-") as place:
        try:
            packed = pack(folder, Path(place) / "copy.tar.gz", tracked=bool(options.git))
        except CannotPack as error:
            raise Wrong(str(error)) from None
        send(site, project_of(site, options.project), packed)
    files = f"{packed.files} file{'' if packed.files == 1 else 's'}"
    print(f"sent {files}, {packed.size_bytes / 2**20:.1f} MiB packed: {packed.sha256[:12]}")
    return {"working_copy": packed.sha256, "git": packed.git, "cwd": options.cwd}


def project_of(site: Site, asked: str) -> str:
    """Where a job goes that names no project, as the site chooses it."""
    if asked:
        return asked
    slugs = [each["slug"] for each in site.get("me")["projects"] if each["role"] in {"operator", "admin"}]
    if "default" in slugs:
        return "default"
    if len(slugs) != 1:
        raise Wrong(
            f"which project? --project takes one of {', '.join(slugs) or 'those that you may write to'}"
        )
    return str(slugs[0])


def send(site: Site, project: str, packed: Packed) -> None:
    """In pieces; what the project has already is not sent again."""
    address = f"projects/{quote(project)}/copies/{packed.sha256}?size={packed.size_bytes}&offset="
    offset = 0
    with open(packed.path, "rb") as file:
        while True:
            file.seek(offset)
            answer = request(
                site.url, f"{address}{offset}", site.token, method="PUT", raw=file.read(PIECE_BYTES),
                timeout=SEND_SECONDS,
            )  # fmt: skip
            if answer["whole"]:
                return
            if answer["have"] == offset:
                raise Wrong("the site does not take the files on; try again")
            offset = answer["have"]
