import pytest

from tests.loop.live import Clock
from tests.support.fixtures import broker  # noqa: F401


@pytest.fixture
def published(monkeypatch):
    """What would have gone to the broker."""
    sent = []
    monkeypatch.setattr(
        "monitoring.live.publish.send", lambda channel, message: sent.append((channel, message))
    )
    return sent


@pytest.fixture
def clock(monkeypatch, published):
    """The site's clock, in the test's hands."""
    made = Clock()
    monkeypatch.setattr("django.utils.timezone.now", made)
    return made
