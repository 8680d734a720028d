"""Where the SDK finds the server: arguments, environment, then what `scaleweb login` stored."""

import json
import os
from pathlib import Path


def config_path() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "scaleweb" / "config.json"


def stored() -> dict[str, str]:
    try:
        return {str(name): str(value) for name, value in json.loads(config_path().read_text()).items()}
    except (OSError, ValueError, AttributeError, RuntimeError):  # RuntimeError: a user without a home
        return {}


def credentials(url: str = "", token: str = "") -> tuple[str, str]:
    """(url, token); "" for what is nowhere to be found."""
    kept = stored()
    url = url or os.environ.get("SCALEWEB_URL", "") or kept.get("url", "")
    token = token or os.environ.get("SCALEWEB_TOKEN", "")
    # A stored token is for the stored address alone.
    if not token and url.rstrip("/") == kept.get("url", "").rstrip("/"):
        token = kept.get("token", "")
    return url.rstrip("/"), token


def store(url: str, token: str) -> Path:
    path = config_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"url": url.rstrip("/"), "token": token}, file)
    return path
