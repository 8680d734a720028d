"""Runs with points, and rules over them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.models import Rule
from monitoring.models import Device, Node
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_project, a_run
from tests.support.receivers import postbox, receiver  # noqa: F401


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def project(db):
    return a_project()


@pytest.fixture
def run(project):
    return a_run(project, state="running", started_at=timezone.now() - timedelta(hours=2))


@pytest.fixture
def node(db):
    node = Node.objects.create(name="n1", last_seen_at=timezone.now(), latest={"disk_used_bytes": 1.0})
    for index in range(2):
        Device.objects.create(node=node, kind="gpu", index=index, latest={"temperature_celsius": 50.0})
    return node


@pytest.fixture
def log():
    """Store points of a run or node: log(thing, key, [(seconds before now, value)…])."""
    seq = iter(range(1, 10_000))

    def store(thing, key, points, first_step=0):
        at = timezone.now().timestamp()
        number = next(seq)
        steps = [first_step + place for place in range(len(points))]
        column = Column(key, steps, [at - ago for ago, _ in points], [value for _, value in points])
        series.append(thing.source, f"s{number}", [Batch(1, columns=[column])])
        if hasattr(thing, "summary"):
            last = points[-1][1]
            thing.summary = thing.summary | {key: last if abs(last) < 1e300 else str(last)}
            thing.save(update_fields=["summary"])

    return store


@pytest.fixture
def a_rule(project):
    def make(condition, project=project, **fields):
        parameters = fields.pop("parameters", {})
        return Rule.objects.create(
            name=fields.pop("name", condition),
            condition=condition,
            parameters=parameters,
            project=project,
            **fields,
        )

    return make
