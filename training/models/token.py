"""Bearer tokens: stored as a hash, scoped to a person, one run, or one node."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from monitoring.models import Node

from .run import Run


class TokenKind(models.TextChoices):
    USER = "user"  # acts as the user, under the user's roles
    RUN = "run"  # one run's link and nothing else
    NODE = "node"  # one node's hardware readings and nothing else
    LOGIN = "login"  # a one-time login link
    JOIN = "join"  # lets one host in as a node; `user` is who made it


def digest(plain: str) -> str:
    # A plain hash is enough: the token is 256 random bits, so there is nothing to guess slowly.
    return hashlib.sha256(plain.encode()).hexdigest()


# How fresh "last used" is: not each request is worth a write, which on SQLite would wait for other writers.
USED_EVERY = timedelta(seconds=60)


class ApiToken(models.Model):
    kind = models.CharField(max_length=5, choices=TokenKind)
    name = models.CharField(max_length=200, blank=True)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(max_length=12, editable=False)  # shown so that a person can tell tokens apart
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.CASCADE)
    node = models.ForeignKey(Node, null=True, blank=True, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} token {self.prefix}…"

    @classmethod
    def issue(cls, kind: str, **fields) -> tuple["ApiToken", str]:
        """A new token and its plain text, which is shown once and never stored."""
        plain = f"sw_{kind}_{secrets.token_urlsafe(32)}"
        return cls.objects.create(kind=kind, hash=digest(plain), prefix=plain[:12], **fields), plain

    @classmethod
    def find(cls, plain: str, *kinds: str) -> "ApiToken | None":
        """The valid token of one of these kinds, or None: unknown, expired and revoked look the same."""
        token = (
            cls.objects.select_related("user", "run__experiment__project", "node")
            .filter(hash=digest(plain), kind__in=kinds, revoked_at=None)
            .first()
        )
        if token is None or (token.expires_at and token.expires_at <= timezone.now()):
            return None
        return token

    def note_use(self) -> None:
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > USED_EVERY:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)
