"""A message as a signed POST to an address of the web.

An address that leads into the site's own network would let anybody who may write a rule reach what only the
server can: the name is resolved here, every address of it must be public, and the connection goes to the very
address that was checked. Redirects are not followed. SCALEWEB_WEBHOOK_NETWORKS names private networks that are meant.
"""

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

SIGNATURE = "X-ScaleWeb-Signature"
MOST_READ = 2000
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """The address is not sent to; the message says why and what would do."""


class NotTaken(Exception):
    """The receiver answered with something else than 2xx."""


def check(url: str) -> tuple[str, str, int, str]:
    """(scheme, host, port, path) of an address that may be posted to. Raises Refused."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise Refused(f"{url!r:.80} is no address of the web") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused(f"{url!r:.80} is no address of the web; expected such as https://chat.example.org/hook")
    if parts.username or parts.password:
        raise Refused(
            "an address with a password in it would stand in every log; sign with the secret instead"
        )
    if any(ord(letter) <= 32 or ord(letter) > 126 for letter in url):
        raise Refused("the address holds blanks or letters outside ASCII")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.hostname, port, path


def addresses_of(host: str, port: int) -> list[Address]:
    """Every address of the host. Raises Refused if one of them is private and in no network that is allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Refused(f"{host} is not known: {error}") from None
    addresses = [ipaddress.ip_address(str(each[4][0]).split("%")[0]) for each in found]
    for address in addresses:
        plain = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        real = plain or address
        meant = any(
            real in network for network in settings.WEBHOOK_NETWORKS if network.version == real.version
        )
        if not meant and (not real.is_global or real.is_multicast):
            which = f"{host} is" if host == str(real) else f"{host} is {real},"
            raise Refused(
                f"{which} a private address; an administrator may allow its network with "
                "SCALEWEB_WEBHOOK_NETWORKS"
            )
    return addresses


def signature(secret: str, moment: int, body: bytes) -> str:
    """`t=<seconds>,v1=<HMAC-SHA256 of "seconds.body">`: with the time, so that none can be sent again later."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def send(url: str, secret: str, told: dict[str, Any], delivery: int) -> None:
    """POST it. Raises Refused, NotTaken, OSError or http.client.HTTPException."""
    scheme, host, port, path = check(url)
    address = addresses_of(host, port)[0]
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    connection = Pinned(host, port, str(address), scheme == "https", settings.ALERT_SEND_SECONDS)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ScaleWeb-alerts/1",
        "X-ScaleWeb-Delivery": str(delivery),  # the same when it is tried again: a receiver can tell
        SIGNATURE: signature(secret, int(time.time()), body),
    }
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        said = answer.read(MOST_READ).decode("utf-8", "replace")
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        line = " ".join(said.split())[:200]
        raise NotTaken(f"{host} answered {answer.status} {answer.reason}{f': {line}' if line else ''}")


class Pinned(http.client.HTTPConnection):
    """A connection to one address that speaks to, and checks the certificate of, the host of that name."""

    def __init__(self, host: str, port: int, address: str, tls: bool, timeout: float):
        super().__init__(host, port, timeout=timeout)
        self.address, self.tls = address, tls
        self.default_port = 443 if tls else 80

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        if self.tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
