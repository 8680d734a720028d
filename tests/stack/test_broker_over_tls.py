"""A broker behind TLS and a password, as docs/second_host.md has it: all of the site talks through it, or says why not.

The broker itself speaks plain and is known to nobody; a relay in front of it is the encrypted end.
"""

import shutil
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command

from scaleweb import env
from tests.support.relay import Relay
from tests.support.servers import PASSWORD, Valkey, here
from tests.support.stack import RunningStack
from tests.support.wait import until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        shutil.which("openssl") is None, reason="there is no openssl to make a certificate with"
    ),
]
WAITS = """
    import scaleweb_sdk, time
    with scaleweb_sdk.init() as run:
        lr = run.tunable("lr", 0.1, low=0.0, high=1.0, role="learning_rate")
        while lr.value == 0.1:
            run.step({"lr": lr.value})
            time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """(certificate, key) for 127.0.0.1, which is its own authority, as one of a network of one's own is."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "broker.pem", folder / "broker.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1", "-out", made[0], "-keyout", made[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def broker(certificate, tmp_path_factory):
    """(the broker, the port of its encrypted end)"""
    plain = Valkey(tmp_path_factory.mktemp("broker") / "valkey", "127.0.0.1", here)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    relay = Relay("127.0.0.1", plain.port, tls=context)
    yield plain, relay.port
    relay.close()
    plain.stop()


@pytest.fixture
def url(broker, certificate) -> str:
    return f"rediss://:{PASSWORD}@127.0.0.1:{broker[1]}/0?ssl_ca_certs={certificate[0]}"


def test_the_whole_site_talks_through_it(broker, url):
    stack = RunningStack(REDIS_URL=url).start()
    try:
        api = stack.api()
        argv = [sys.executable, "-c", textwrap.dedent(WAITS)]
        job = api.post("jobs", {"experiment_name": "tls", "argv": argv})
        until(lambda: api.get(f"runs/{job['run']}/tunables")["results"], 30, every=0.1)
        assert {"psubscribe", "brpop"} <= {client["cmd"] for client in broker[0].client().client_list()}
        command = api.post(f"runs/{job['run']}/commands", {"verb": "set", "tunable": "lr", "value": 0.5})
        until(lambda: api.get(f"runs/{job['run']}")["state"] == "finished", 30, every=0.1)
        commands = api.get(f"runs/{job['run']}/commands")["results"]
        assert {each["seq"]: each["state"] for each in commands}[command["seq"]] == "applied"
        assert httpx.get(f"{stack.url}/healthz").json() == {"status": "ok"}
    finally:
        stack.close()


def test_celery_does_not_send_the_password_to_whom_it_cannot_tell(url, broker):
    from kombu import Connection

    with Connection(env.celery_broker(url)) as trusted:
        trusted.ensure_connection(max_retries=1)
    address = env.celery_broker(f"rediss://:{PASSWORD}@127.0.0.1:{broker[1]}/0")
    with Connection(address) as unknown, pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
        unknown.ensure_connection(max_retries=1, timeout=5)


@pytest.fixture
def health(client, settings):
    """What /healthz says of the broker at this address."""
    from monitoring.live import publish

    def ask(url: str) -> str:
        settings.REDIS_URL = url
        publish.client.cache_clear()
        answer = client.get("/healthz")
        assert answer.status_code == 503
        assert url not in answer.text
        return answer.json()["wrong"]["broker"]

    yield ask
    publish.client.cache_clear()


@pytest.mark.django_db(databases="__all__")
def test_a_host_that_is_not_let_in_is_told_why(broker, certificate, health):
    plain, port = broker
    for url, words in (
        (
            f"rediss://:{PASSWORD}@127.0.0.1:{port}/0",
            "certificate is not trusted (self-signed certificate): name the",
        ),
        (
            f"rediss://:guessed@127.0.0.1:{port}/0?ssl_ca_certs={certificate[0]}",
            "refuses the password: compare the",
        ),
        (
            f"rediss://:{PASSWORD}@127.0.0.1:{plain.port}/0",
            "does not answer, or does not speak TLS at this port",
        ),
    ):
        assert words in health(url)
        with pytest.raises(CommandError) as refused:
            call_command("check_node")
        assert words in str(refused.value)
