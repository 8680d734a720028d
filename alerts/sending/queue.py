"""Messages on their way: stored with what they tell of, then sent, and tried again until they arrive."""

import logging
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from django.db import close_old_connections
from django.utils import timezone

from alerts.models import Alert, Channel, Delivery, Rule

from . import mail, message, webhook

logger = logging.getLogger(__name__)
# Seconds before each further try: a receiver that is away for half a day still gets it.
WAITS = (10, 30, 120, 600, 1800, 3600, 10_800, 21_600)
AT_ONCE = 4
MOST = 40
State = Delivery.State


def enqueue(rule: Rule, alerts: list[Alert], event: str, now: datetime, again: bool = False) -> int:
    """Store one message for each channel of the rule; how many. Call it in the transaction of what it tells.

    again: it was told to be over, so that only those who heard that hear that it fires.
    """
    if not alerts:
        return 0
    hears_all = event == "firing" and not again
    channels = [c for c in rule.channels.filter(enabled=True) if hears_all or c.tell_resolved]
    told = message.body(rule, alerts, event)
    Delivery.objects.bulk_create(
        Delivery(channel=channel, event=event, body=told, next_at=now) for channel in channels
    )
    return len(channels)


def test(channel: Channel, site: str) -> Delivery:
    """Send a message that only says that the channel works, now; the delivery tells how it went."""
    told = {
        "version": 1,
        "event": "test",
        "site": site,
        "channel": channel.name,
        "rule": None,
        "count": 0,
        "alerts": [],
    }
    delivery = Delivery.objects.create(channel=channel, event="test", body=told, next_at=timezone.now())
    send(delivery, again=False)
    return delivery


def deliver(now: datetime | None = None) -> int:
    """Send what is due, a few at once, so that one receiver that hangs holds up few others. How many were tried."""
    due = list(
        Delivery.objects.filter(
            state=State.WAITING, next_at__lte=now or timezone.now(), channel__enabled=True
        )
        .select_related("channel")
        .order_by("next_at")[:MOST]
    )
    if not due:
        return 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(in_thread, due))
    return len(due)


def in_thread(delivery: Delivery) -> None:
    try:
        send(delivery)
    finally:
        close_old_connections()


def send(delivery: Delivery, again: bool = True) -> None:
    """Try once and write down how it went."""
    # Taken before it is sent: a worker that dies on the way tries it again, another one at once does not.
    hold = timezone.now() + timedelta(seconds=120)
    taken = Delivery.objects.filter(pk=delivery.pk, state=State.WAITING, tries=delivery.tries)
    if not taken.update(tries=delivery.tries + 1, next_at=hold):
        return
    delivery.tries += 1
    channel = delivery.channel
    try:
        if channel.kind == Channel.Kind.MAIL:
            mail.send(channel.target, delivery.body)
        else:
            webhook.send(channel.target, channel.secret, delivery.body, delivery.pk)
    except Exception as error:  # noqa: BLE001
        # Whatever a receiver or a library comes up with: it is written down, and the others get theirs.
        failed(delivery, error, again)
    else:
        delivery.state, delivery.sent_at, delivery.error = State.SENT, timezone.now(), ""
        delivery.save(update_fields=["state", "sent_at", "error"])


def failed(delivery: Delivery, error: Exception, again: bool) -> None:
    for_good = isinstance(error, webhook.Refused | mail.NoMailServer)
    delivery.error = f"{error or type(error).__name__}"[:500]
    if again and not for_good and delivery.tries <= len(WAITS):
        wait = WAITS[delivery.tries - 1] * random.uniform(0.8, 1.2)
        delivery.next_at = timezone.now() + timedelta(seconds=wait)
    else:
        delivery.state = State.FAILED
        logger.warning("an alert could not be sent over %s: %s", delivery.channel, delivery.error)
    delivery.save(update_fields=["state", "error", "next_at"])
