"""How a second host comes in: a token that an administrator makes, good for one host, and what the host gets for it.

invited -> looked (version, tables, clock, addresses) -> joined: the token is used up, the settings are handed out
"""

import ipaddress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from monitoring.claims import BadInventory, check_name
from monitoring.models import Node

from .models import ApiToken, TokenKind
from .models.token import digest

LONGEST_LIFE = timedelta(days=7)
PORTS = {"postgres": 5432, "postgresql": 5432, "redis": 6379, "rediss": 6379}


class NoWayIn(Exception):
    """The token opens nothing; the message says whether it was used, taken back, too old, or never one."""


class CannotJoin(Exception):
    """This host, or this site, is not in a state for it. `field`: what of the request is at fault, "" for the site."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def invite(user: Any, name: str, life: timedelta) -> tuple[ApiToken, str]:
    """A token for one host, and its plain text. Raises CannotJoin where no other host could reach what it needs."""
    addresses()
    return ApiToken.issue(TokenKind.JOIN, user=user, name=name, expires_at=timezone.now() + life)


def invitation(plain: str) -> ApiToken:
    """The token that is still good. Raises NoWayIn.

    Whoever holds the text is told what became of it: they sit before a host that does not come up.
    """
    token = ApiToken.objects.select_related("user").filter(hash=digest(plain), kind=TokenKind.JOIN).first()
    ask = "ask an administrator for a new one (Nodes, Add a node)"
    if token is None:
        raise NoWayIn(f"this is no join token of this site; {ask}")
    if token.last_used_at:
        raise NoWayIn(
            f"this join token was used at {token.last_used_at:%Y-%m-%d %H:%M} UTC, and serves one host; {ask}"
        )
    if token.revoked_at:
        raise NoWayIn(f"this join token was taken back at {token.revoked_at:%Y-%m-%d %H:%M} UTC; {ask}")
    if token.expires_at and token.expires_at <= timezone.now():
        raise NoWayIn(f"this join token expired at {token.expires_at:%Y-%m-%d %H:%M} UTC; {ask}")
    if token.user is None or not (token.user.is_active and token.user.is_superuser):
        raise NoWayIn(f"who made this join token is no administrator any more; {ask}")
    return token


def site() -> dict[str, Any]:
    """What a host compares before it joins; nothing of it is a secret. Raises CannotJoin."""
    return {
        "version": settings.VERSION,
        "tables": tables(),
        "now": timezone.now().timestamp(),
        "needs": [
            {"what": what, "host": parts.hostname, "port": parts.port or PORTS[parts.scheme]}
            for what, parts in addresses().items()
        ],
    }


def tables() -> dict[str, str]:
    """{app: its newest migration} of the site's own apps: two versions that differ in these cannot share a database."""
    newest = MigrationLoader(None, ignore_no_migrations=True).graph.leaf_nodes()
    own = {"monitoring", "training", "control", "alerts"}
    return {app: name for app, name in sorted(newest) if app in own}


def addresses() -> dict[str, Any]:
    """The database's and the broker's address, split. Raises CannotJoin where they lead nowhere from another host."""
    found = {}
    for what, name, url in (
        ("database", "SCALEWEB_NODE_DATABASE_URL", settings.NODE_DATABASE_URL),
        ("broker", "SCALEWEB_NODE_REDIS_URL", settings.NODE_REDIS_URL),
    ):
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            own = "is a file on this machine" if what == "database" else "listens on a socket of this machine"
            wanted = "PostgreSQL (DATABASE_URL)" if what == "database" else "a Redis or Valkey (REDIS_URL)"
            raise CannotJoin(
                f"the site's {what} {own}, and a second host cannot reach it: run the site with {wanted}; "
                "docs/second_host.md has the steps"
            )
        if is_loopback(parts.hostname):
            raise CannotJoin(
                f"the site reaches its {what} at {parts.hostname}, which on another host is that host itself: set "
                f"{name} to the address by which other hosts reach it, and restart the site"
            )
        found[what] = parts
    return found


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def join(token: ApiToken, node: str, hostname: str) -> dict[str, str]:
    """Use the token up. Returns the environment of that host's worker. Raises CannotJoin, and NoWayIn for a race."""
    addresses()
    try:
        check_name(node)
    except BadInventory as error:
        raise CannotJoin(str(error), "node") from None
    with transaction.atomic():
        there = Node.objects.select_for_update().filter(name=node).first()
        if there is not None and there.state == Node.State.ONLINE:
            raise CannotJoin(
                f"a node {node} is online (host {there.hostname or 'unknown'}): choose another name with --name, or "
                "stop the worker there first",
                "node",
            )
        now = timezone.now()
        won = ApiToken.objects.filter(pk=token.pk, last_used_at=None, revoked_at=None).update(
            last_used_at=now, revoked_at=now, name=f"{token.name} ({node} on {hostname})"[:200]
        )
        if not won:
            raise NoWayIn("another host has just used this join token, which serves one; ask for a new one")
    return {
        "SCALEWEB_NODE": node,
        "DATABASE_URL": settings.NODE_DATABASE_URL,
        "REDIS_URL": settings.NODE_REDIS_URL,
        "SCALEWEB_LEASE_SECONDS": f"{settings.LEASE_SECONDS:g}",
        "SCALEWEB_STOP_GRACE_SECONDS": f"{settings.STOP_GRACE_SECONDS:g}",
    }
