"""How an experiment was looked at, kept under a short code; and the links that show it without an account."""

import secrets
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from training.codes import new_code
from training.view_state import BadState, check_state

from .project import Experiment
from .token import USED_EVERY, digest


def checked(state: Any) -> None:
    try:
        check_state(state)
    except BadState as error:
        raise ValidationError(str(error)) from None


class SavedView(models.Model):
    """Its state is what the page wrote, in the form that `training.view_state` checks.

    A deleted view keeps its row, without its state, so that a link to it can say so.
    """

    code = models.CharField(max_length=16, unique=True, default=new_code, editable=False)
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="views")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    name = models.CharField(max_length=200)
    state = models.JSONField(default=dict, validators=[checked])
    # Seen by everybody who may see the experiment; else by its owner alone.
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    deleted_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["experiment", "-id"], name="view_by_experiment")]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"

    def bury(self, who: str) -> None:
        """Delete it: its links end, and what it showed is gone."""
        self.links.filter(revoked_at=None).update(revoked_at=timezone.now())
        self.state, self.deleted_at, self.deleted_by = {}, timezone.now(), who[:200]
        self.save(update_fields=["state", "deleted_at", "deleted_by", "updated_at"])


class ViewLink(models.Model):
    """A link that shows a view to whoever has it. The token is kept as its hash alone, and always ends."""

    view = models.ForeignKey(SavedView, on_delete=models.CASCADE, related_name="links")
    hash = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(max_length=12, editable=False)  # shown so that a person can tell links apart
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"link {self.prefix}… to {self.view.name}"

    @classmethod
    def issue(cls, view: SavedView, **fields: Any) -> tuple["ViewLink", str]:
        """A new link and its token, which is shown once and never stored."""
        plain = f"sw_view_{secrets.token_urlsafe(32)}"
        return cls.objects.create(view=view, hash=digest(plain), prefix=plain[:12], **fields), plain

    @classmethod
    def find(cls, plain: str) -> "ViewLink | None":
        """The link in force of this token, or None: unknown, ended and taken back look the same."""
        link = cls.objects.select_related("view__experiment__project").filter(hash=digest(plain)).first()
        if link is None or link.revoked_at or link.expires_at <= timezone.now() or link.view.deleted_at:
            return None
        return link

    def note_use(self) -> None:
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > USED_EVERY:
            ViewLink.objects.filter(pk=self.pk).update(last_used_at=now)
