"""A message by mail, through the server that SCALEWEB_MAIL_URL names."""

from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from .message import subject_line, words


class NoMailServer(Exception):
    """The site has no mail server; the message says what to set."""


def send(address: str, told: dict[str, Any]) -> None:
    """Raises OSError or smtplib.SMTPException where the server does not take it, NoMailServer without one."""
    if not settings.MAIL_CONFIGURED:
        raise NoMailServer("this site has no mail server: set SCALEWEB_MAIL_URL (docs/settings.md)")
    connection = get_connection(timeout=settings.ALERT_SEND_SECONDS)
    mail = EmailMessage(
        subject_line(told), words(told), settings.DEFAULT_FROM_EMAIL, [address], connection=connection
    )
    mail.send()
