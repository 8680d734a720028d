"""Reads the environment: the only place that does, so every setting has one name and one default.

Each setting is listed in docs/settings.md; a test compares the two.
"""

import ipaddress
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent


class BadSetting(Exception):
    """An environment variable holds something that cannot be used; the message says what would do."""


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool = False) -> bool:
    raw = text(name, "1" if default else "0").lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise BadSetting(f"{name}={raw!r} is neither on nor off; use 1 or 0")


def number(name: str, default: float, low: float, high: float) -> float:
    raw = text(name, str(default))
    try:
        value = float(raw)
    except ValueError:
        raise BadSetting(f"{name}={raw!r} is not a number; expected {low}..{high}") from None
    if not low <= value <= high:
        raise BadSetting(f"{name}={raw} is outside {low}..{high}")
    return value


def choice(name: str, default: str, among: tuple[str, ...]) -> str:
    raw = text(name, default).lower()
    if raw not in among:
        raise BadSetting(f"{name}={raw!r} is none of {', '.join(among)}")
    return raw


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def rates(name: str) -> dict[str, float]:
    """{part of a device's name or kind, in lower case: price of an hour} of "h100=3.2,gpu=2". Raises BadSetting."""
    found = {}
    for item in words(name):
        key, _, raw = item.rpartition("=")
        try:
            price = float(raw)
        except ValueError:
            price = -1.0
        if not key.strip() or not 0 <= price < 1e9:
            raise BadSetting(
                f"{name} holds {item!r}; expected NAME=PRICE of a device hour, such as h100=3.2,cpu=0.04"
            )
        found[key.strip().lower()] = price
    return found


def networks(name: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """IP networks of "10.1.0.0/16, fd00::/8". Raises BadSetting."""
    found = []
    for word in words(name):
        try:
            found.append(ipaddress.ip_network(word))
        except ValueError as error:
            raise BadSetting(f"{name} holds {word!r}: {error}; expected such as 10.1.0.0/16") from None
    return found


def mail(name: str) -> tuple[bool, tuple[str, int, str, str, bool, bool]]:
    """(whether there is a server, (host, port, user, password, STARTTLS, TLS)) of smtp://user:password@host:587.

    smtp:// speaks TLS after STARTTLS, or none with ?tls=0; smtps:// from the first byte. Raises BadSetting.
    """
    url = text(name)
    if not url:
        return False, ("localhost", 25, "", "", False, False)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadSetting(
            f"{name} is no address; expected such as smtp://user:password@mail.example.org:587"
        ) from None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise BadSetting(
            f"{name} starts with {parts.scheme!r}; expected smtp://user:password@host:587 or smtps://…"
        )
    tls = parts.scheme == "smtps"
    start = not tls and "tls=0" not in parts.query.split("&")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return True, (parts.hostname, port or (465 if tls else 587), user, password, start, tls)


def origin(name: str, address: str) -> str:
    """The scheme, host and port of an address that a setting gives. Raises BadSetting."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise BadSetting(f"{name}={address!r} is no address; expected such as https://scaleweb.example.org")
    return f"{parts.scheme}://{parts.netloc}"


def home() -> Path:
    """The data folder: databases, secret key, sockets, attempts, checkpoints."""
    folder = Path(text("SCALEWEB_HOME", str(BASE_DIR / ".scaleweb"))).absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def secret_key(folder: Path) -> str:
    """SCALEWEB_SECRET_KEY, or a key made once and kept beside the data, readable by its owner alone."""
    given = text("SCALEWEB_SECRET_KEY")
    if given:
        return given
    path = folder / "secret_key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        key = secrets.token_urlsafe(48)
        file.write(key)
    return key


def databases(folder: Path) -> dict[str, dict]:
    """Django's DATABASES. SQLite keeps the series in a file of their own; PostgreSQL has one database."""
    url = text("DATABASE_URL")
    if not url:
        return {
            "default": sqlite(folder / "scaleweb.sqlite3"),
            # FULL: a batch is acknowledged after its commit, and the sender then forgets it. What is
            # acknowledged must outlive a power cut. The space of deleted runs is given back in steps.
            "series": sqlite(folder / "series.sqlite3", "PRAGMA auto_vacuum=INCREMENTAL; ", "FULL"),
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise BadSetting(
            f"DATABASE_URL starts with {parts.scheme!r}; expected postgresql://user:password@host/name, "
            "or leave it out for SQLite"
        )
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    host = unquote(query.get("host", "")) or unquote(parts.hostname or "")
    options: dict = {"pool": {"min_size": 1, "max_size": 16, "timeout": 10}} | heard_of()
    if "sslmode" in query:
        options["sslmode"] = query["sslmode"]
    return {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": host,
            "PORT": str(parts.port or ""),
            # A pool keeps connections that a restart of the database has ended: each would fail one request.
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": options,
        }
    }


# What a host holds locked as it is cut off or freezes in the middle of a transaction is let go in this time. Without
# it the server waits two hours for a peer that says nothing, and whoever would give its jobs up waits with it.
DEAD_PEER_SECONDS = 10


def heard_of() -> dict[str, Any]:
    """PostgreSQL's options by which either end of a connection notices that the other one is gone."""
    there = {
        "idle_in_transaction_session_timeout": DEAD_PEER_SECONDS * 1000, "tcp_user_timeout": DEAD_PEER_SECONDS * 1000,
        "tcp_keepalives_idle": 4, "tcp_keepalives_interval": 2, "tcp_keepalives_count": 3,
    }  # fmt: skip
    return {
        "connect_timeout": DEAD_PEER_SECONDS, "tcp_user_timeout": DEAD_PEER_SECONDS * 1000,
        "keepalives_idle": 4, "keepalives_interval": 2, "keepalives_count": 3,
        "options": " ".join(f"-c {name}={value}" for name, value in there.items()),
    }  # fmt: skip


def celery_broker(url: str) -> str:
    """The broker's address in Celery's spelling. Over TLS it looks at the certificate only where it is told to."""
    if url.startswith("unix://"):
        return url.replace("unix://", "redis+socket://", 1)
    if url.startswith("rediss://") and "ssl_cert_reqs=" not in url:
        return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"
    return url


LARGEST_LEFT_LOG = 64 * 2**20


def sqlite(path: Path, first: str = "", synchronous: str = "NORMAL") -> dict:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            # IMMEDIATE takes the write lock at BEGIN: a deferred transaction that upgrades later
            # fails at once instead of waiting for the busy timeout.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": f"{first}PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; "
            # A write-ahead log that one long transaction grew would keep its size for ever.
            f"PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit={LARGEST_LEFT_LOG};",
        },
        "TEST": {"NAME": str(path.with_name(f"test_{path.name}"))},
    }
