"""Messages through real sockets: a web server that takes, refuses or is away, and a mail server."""

import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.models import Channel, Delivery
from alerts.sending import mail, message, queue, webhook
from alerts.tick import tick

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


@pytest.fixture
def channel(receiver):
    url = f"http://127.0.0.1:{receiver.server_port}/hook?room=1"
    return Channel.objects.create(name="chat", kind="webhook", target=url, secret="s3cret")


def test_an_alert_arrives_signed_and_so_does_its_end(run, log, a_rule, channel, receiver, now):
    rule = a_rule(
        "run_figure", parameters={"key": "loss", "limit": 2}, name="Loss is high", severity="critical"
    )
    rule.channels.add(channel)
    log(run, "loss", [(10, 5.0)])
    tick(now)
    assert queue.deliver() == 1
    log(run, "loss", [(0, 1.0)], first_step=1)
    tick(now + timedelta(seconds=15))
    queue.deliver(now + timedelta(seconds=15))
    (path, headers, body), (_, _, last) = receiver.got
    told = json.loads(body)
    assert path == "/hook?room=1"
    assert (told["event"], told["count"], json.loads(last)["event"]) == ("firing", 1, "resolved")
    assert told["rule"]["severity"] == "critical"
    assert told["alerts"][0]["message"] == "loss 5, above 2"
    assert told["alerts"][0]["url"].endswith(f"/runs/{run.code}")
    moment, digest = (part.split("=", 1)[1] for part in headers[webhook.SIGNATURE].split(","))
    signed = hmac.new(b"s3cret", f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    assert digest == signed
    assert set(Delivery.objects.values_list("state", "tries")) == {("sent", 1)}


def test_a_receiver_that_is_away_is_tried_again_until_it_takes_it(channel, receiver):
    receiver.answers = [(503, {}), (500, {})]
    delivery = Delivery.objects.create(channel=channel, event="test", body={}, next_at=timezone.now())
    times = []
    for _ in range(3):
        queue.deliver(timezone.now() + timedelta(days=1))
        delivery.refresh_from_db()
        times.append((delivery.state, delivery.tries, "50" in delivery.error))
    assert times == [("waiting", 1, True), ("waiting", 2, True), ("sent", 3, False)]
    assert {headers["X-ScaleWeb-Delivery"] for _, headers, _ in receiver.got} == {str(delivery.pk)}


def test_the_waits_grow_and_end_and_the_reason_is_kept(channel, receiver):
    receiver.answers = [(410, {})] * 20
    delivery = Delivery.objects.create(channel=channel, event="test", body={}, next_at=timezone.now())
    waits = []
    while delivery.state == "waiting":
        queue.send(Delivery.objects.select_related("channel").get(pk=delivery.pk))
        delivery.refresh_from_db()
        waits.append((delivery.next_at - timezone.now()).total_seconds())
    assert delivery.state == "failed"
    assert delivery.tries == len(queue.WAITS) + 1
    assert waits[:-1] == sorted(waits[:-1])
    assert "answered 410" in delivery.error


def test_a_redirect_is_not_followed(channel, receiver):
    receiver.answers = [(302, {"Location": f"http://127.0.0.1:{receiver.server_port}/other"})]
    assert "answered 302" in queue.test(channel, "http://site").error
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1/x", "127.0.0.1 is a private address"),
        ("http://localhost:8000/x", "1, a private address"),
        ("http://[::1]/x", "a private address"),
        ("http://[::ffff:127.0.0.1]/x", "a private address"),
        ("http://10.1.2.3/x", "a private address"),
        ("http://169.254.169.254/latest/meta-data", "a private address"),
        ("http://0.0.0.0/", "a private address"),
        ("http://224.0.0.1/", "a private address"),
        ("http://2130706433/", "a private address"),  # 127.0.0.1 as one number
        ("file:///etc/passwd", "no address of the web"),
        ("ftp://example.org", "no address of the web"),
        ("http://", "no address of the web"),
        ("http://example.org:99999/", "no address of the web"),
        ("https://user:pw@example.org/", "a password in it"),
        ("https://example.org/a b", "blanks"),
        ("https://example.org/\r\nX: y", "blanks"),
    ],
)
def test_addresses_that_are_not_to_be_reached_are_refused(settings, url, said):
    settings.WEBHOOK_NETWORKS = []
    with pytest.raises(webhook.Refused, match=said):
        webhook.addresses_of(*webhook.check(url)[1:3])


def test_a_name_that_leads_elsewhere_by_the_time_it_is_sent_to_is_refused(channel, receiver, settings):
    settings.WEBHOOK_NETWORKS = []
    delivery = queue.test(channel, "http://site")
    assert delivery.state == "failed"
    assert "SCALEWEB_WEBHOOK_NETWORKS" in delivery.error
    assert not receiver.got


def test_two_workers_send_a_message_once(channel, receiver):
    delivery = Delivery.objects.create(channel=channel, event="test", body={}, next_at=timezone.now())
    same = Delivery.objects.select_related("channel").get(pk=delivery.pk)
    queue.send(delivery)
    queue.send(same)
    assert len(receiver.got) == 1


def test_a_thousand_alerts_are_one_message(run, a_rule, channel):
    from alerts.models import Alert

    rule = a_rule("non_finite")
    now = timezone.now()
    alerts = [
        Alert(
            rule=rule, subject=f"s{n}", label=f"run {n}", run=run, message="m", started_at=now, fired_at=now
        )
        for n in range(1000)
    ]
    told = message.body(rule, alerts, "firing")
    assert (told["count"], len(told["alerts"])) == (1000, message.MOST_LISTED)
    assert f"and {1000 - message.MOST_LISTED} more" in message.words(told)


def test_mail_goes_out_with_its_head_on_one_line(run, log, a_rule, postbox, now):
    type(run).objects.filter(pk=run.pk).update(name="odd\nBcc: all@example.org")
    rule = a_rule("run_figure", parameters={"key": "loss", "limit": 2}, name="High loss")
    rule.channels.add(Channel.objects.create(name="me", kind="mail", target="ada@example.org"))
    log(run, "loss", [(10, 5.0)])
    tick(now)
    queue.deliver()
    (text,) = postbox.mails
    head, _, body = text.partition("\r\n\r\n")
    assert "Subject: [warning] High loss: odd Bcc: all@example.org" in head
    assert not any(line.lower().startswith("bcc") for line in head.splitlines())
    assert "loss 5, above 2" in body
    assert f"/runs/{run.code}" in body


def test_without_a_mail_server_the_delivery_says_what_to_set(settings):
    settings.MAIL_CONFIGURED = False
    channel = Channel.objects.create(name="me", kind="mail", target="ada@example.org")
    with pytest.raises(mail.NoMailServer):
        mail.send(channel.target, {})
    assert "SCALEWEB_MAIL_URL" in queue.test(channel, "http://site").error
