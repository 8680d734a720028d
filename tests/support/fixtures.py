"""Fixtures for tests that go through the real thing: import them into a conftest.py."""

import pytest

from monitoring.live import publish
from tests.support.broker import Broker
from tests.support.site import Site
from tests.support.wait import until

# Of the link (wakes, watch) and of the live websockets.
PATTERNS = 3


@pytest.fixture
def broker(settings):
    """A broker of the test's own, and REDIS_URL set to it."""
    made = Broker()
    settings.REDIS_URL = made.url
    publish.client.cache_clear()
    publish.outage = publish.Outage()
    yield made
    made.close()
    publish.client.cache_clear()


@pytest.fixture
def live_site(transactional_db, broker):
    """The running site: link, live websockets, pages and API over real sockets."""
    site = Site()
    try:
        # What is published before the site listens is lost: a test begins once nothing is.
        client = broker.client()
        until(lambda: client.pubsub_numpat() >= PATTERNS)
        yield site
    finally:
        site.close()
