"""Keeps the node's hardware agent running: one child of the worker, started again when it dies."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from monitoring.models import Node
from training.models import ApiToken, TokenKind

from .spec import cleaned

logger = logging.getLogger(__name__)
RESTART_AFTER_SECONDS = 5.0


class AgentKeeper:
    """`keep` at each look; `close` at the end."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.started_at = float("-inf")

    def keep(self, node: Node) -> None:
        if self.child is not None and self.child.poll() is None:
            return
        if time.monotonic() - self.started_at < RESTART_AFTER_SECONDS:
            return
        if self.child is not None:
            logger.warning("the hardware agent ended with %s; it is started again", self.child.returncode)
        self.started_at = time.monotonic()
        ApiToken.objects.filter(
            kind=TokenKind.NODE, node=node, revoked_at=None, name="hardware agent"
        ).update(revoked_at=timezone.now())
        _, token = ApiToken.issue(TokenKind.NODE, node=node, name="hardware agent")
        spool = Path(settings.HOME) / "agent" / node.name
        spool.mkdir(parents=True, exist_ok=True)
        environment = cleaned(dict(os.environ)) | {
            "SCALEWEB_URL": settings.PUBLIC_URL,
            "SCALEWEB_TOKEN": token,
            "SCALEWEB_NODE": node.name,
            "SCALEWEB_SPOOL_DIR": str(spool),
            "SCALEWEB_HOME": str(settings.HOME),
            "SCALEWEB_CPU_SLOTS": str(settings.CPU_SLOTS),
        }
        with open(spool / "agent.log", "ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "monitoring.hardware.agent"],
                cwd=settings.BASE_DIR,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def close(self) -> None:
        if self.child is None or self.child.poll() is not None:
            return
        self.child.terminate()
        try:
            self.child.wait(4)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
