"""What holds for every test."""

import sys

import pytest
from hypothesis import HealthCheck, settings

# Time is measured in benchmarks/: a busy machine must not fail a property.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def no_writer_goes_on():
    """A process has one series writer, started by the first who asks (/healthz does): it ends with its test.

    Left running it would wait for the transaction that another test of this process holds.
    """
    yield
    module = sys.modules.get("monitoring.storage.writer")
    if module is not None and module.shared is not None:
        module.stop_writer()
