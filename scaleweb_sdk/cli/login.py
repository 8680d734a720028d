"""`scaleweb login`, and `scaleweb sync`, which needs it."""

import argparse
import getpass
import sys
from pathlib import Path

from scaleweb_sdk import settings
from scaleweb_sdk.rest import request
from scaleweb_sdk.sync import sync

from .site import Wrong


def login(options: argparse.Namespace) -> None:
    url = options.url or settings.stored().get("url") or "http://127.0.0.1:8000"
    # What is piped in is meant: getpass would ask the terminal behind it, or echo.
    if options.token_stdin or not sys.stdin.isatty():
        token = sys.stdin.readline().strip()
    else:
        print(f"Make a token at {url}/settings and paste it here; it is not shown.")
        try:
            token = getpass.getpass("Token: ").strip()
        except EOFError:
            token = ""
    if not token:
        raise Wrong(
            f"no token was given; make one at {url}/settings, and paste it where this asks, or pipe it in"
        )
    me = request(url, "me", token)
    try:
        path = settings.store(url, token)
    except OSError as error:
        raise Wrong(
            f"the token cannot be kept in {settings.config_path()}: {error.strerror or error}"
        ) from None
    print(f"Logged in at {url} as {me['username']}; kept in {path}")


def send_kept(options: argparse.Namespace) -> None:
    if not Path(options.folder).is_dir():
        raise Wrong(
            f"there is no folder {options.folder}; `scaleweb sync FOLDER` names the one that runs were kept in"
        )
    url, token = settings.credentials()
    results = sync(Path(options.folder), url, token)
    for line in results.said:
        print(line)
    if results.failed:
        raise Wrong(f"{results.failed} of {results.found} could not be sent; they stay where they are")
    if not results.found:
        print(f"nothing to send in {options.folder}")
