"""A change that thousands of topics are told of reaches each of them, and a broker that is away holds up nobody."""

import json

import pytest

from monitoring.live import publish
from monitoring.live.channels import LIVE_CHANNEL
from tests.support.broker import Broker
from tests.support.wait import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own_broker(settings, monkeypatch):
    broker = Broker()
    settings.REDIS_URL = broker.url
    monkeypatch.setattr(publish, "outage", publish.Outage())
    publish.client.cache_clear()
    yield broker
    publish.client.cache_clear()
    broker.close()


def test_each_of_more_topics_than_go_into_one_request_is_told(own_broker):
    listener = own_broker.client().pubsub(ignore_subscribe_messages=True)
    listener.psubscribe(LIVE_CHANNEL + "run:*")
    until(lambda: own_broker.client().pubsub_numpat() == 1, 10)
    topics = [f"run:{number}" for number in range(publish.MANY + 5)]
    publish.publish_changes("job", [(topic, {"state": "queued"}) for topic in topics])
    told = []

    def all_told():
        while message := listener.get_message(timeout=0.1):
            told.append(message)
        return len(told) >= len(topics)

    until(all_told, 10)
    assert [message["channel"].decode() for message in told] == [LIVE_CHANNEL + topic for topic in topics]
    message = json.loads(told[-1]["data"])
    assert (message["type"], message["what"], message["data"]) == ("changed", "job", {"state": "queued"})
    own_broker.kill()
    publish.publish_changes("job", [("run:a", {}), ("run:b", {})])
    assert publish.outage.recent()
