from collections import namedtuple
from dataclasses import fields

import psutil
import pytest

from monitoring.hardware import nvml
from monitoring.hardware.agent import Agent
from monitoring.hardware.host import Host, describe
from monitoring.hardware.readings import HostReading, present
from tests.hardware.fake_nvml import Card, FakeNvml

Io = namedtuple("Io", "read_bytes write_bytes")
Net = namedtuple("Net", "bytes_recv bytes_sent")


@pytest.fixture
def counters(monkeypatch):
    """Disk and network counters that the test sets; the rest of psutil is real."""
    state = {"disk": Io(1000, 2000), "nics": {"eth0": Net(500, 700), "lo": Net(10**9, 10**9)}}
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: state["disk"])
    monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: state["nics"])
    return state


def test_rates_need_two_looks_and_leave_out_the_loopback(tmp_path, counters):
    now = [100.0]
    machine = Host(tmp_path, clock=lambda: now[0])
    first = machine.read()
    assert first.disk_read_bytes_per_second is None
    assert 0 < first.memory_used_bytes <= first.memory_total_bytes
    assert 0 <= first.cpu_utilisation_ratio <= 1
    now[0] = 102.0
    counters.update(disk=Io(3000, 2000), nics={"eth0": Net(900, 700), "lo": Net(2 * 10**9, 0)})
    second = machine.read()
    assert second.disk_read_bytes_per_second == 1000
    assert second.disk_write_bytes_per_second == 0
    assert second.network_receive_bytes_per_second == 200


def test_a_counter_that_was_reset_gives_no_rate_instead_of_a_negative_one(tmp_path, counters):
    now = [0.0]
    machine = Host(tmp_path, clock=lambda: now[0])
    machine.read()
    now[0] = 1.0
    counters["disk"] = Io(10, 2500)
    reading = machine.read()
    assert reading.disk_read_bytes_per_second is None
    assert reading.disk_write_bytes_per_second == 500


def test_a_host_without_disk_counters_reads_the_rest(tmp_path, counters):
    counters.update(disk=None, nics={})
    machine = Host(tmp_path)
    machine.read()
    reading = machine.read()
    assert reading.disk_read_bytes_per_second is None
    assert reading.disk_total_bytes > 0


@pytest.mark.parametrize(
    ("broken", "absent"),
    [
        ("virtual_memory", {"memory_used_bytes", "memory_total_bytes"}),
        ("disk_usage", {"disk_used_bytes", "disk_total_bytes"}),
        ("disk_io_counters", {"disk_read_bytes_per_second", "disk_write_bytes_per_second"}),
        ("net_io_counters", {"network_receive_bytes_per_second", "network_send_bytes_per_second"}),
        ("cpu_percent", {"cpu_utilisation_ratio"}),
    ],
)
@pytest.mark.parametrize(
    "error", [psutil.AccessDenied(), FileNotFoundError(2, "gone"), RuntimeError("no /proc")]
)
def test_a_sensor_of_the_host_that_fails_is_absent_and_the_others_read_on(
    tmp_path, counters, monkeypatch, broken, absent, error
):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(psutil, broken, fails)
    now = [0.0]
    machine = Host(tmp_path, clock=lambda: now[0])
    machine.read()
    now[0] = 1.0
    figures = present(machine.read())
    assert {each.name for each in fields(HostReading)} - set(figures) == absent
    assert describe()["hostname"]


class RecordingLink:
    def __init__(self):
        self.sent = []

    def send(self, columns=(), lines=(), events=()):
        self.sent.append((list(columns), list(events)))


def test_the_agent_sends_every_reading_and_describes_the_node_now_and_then(tmp_path):
    link, now = RecordingLink(), [1_700_000_000.25]
    agent = Agent(link, Host(tmp_path), nvml.Gpus(FakeNvml(Card(0))), slots=2, clock=lambda: now[0])
    for _ in range(6):
        agent.look()
        now[0] += 1
    assert [len(events) for _, events in link.sent] == [1, 0, 0, 0, 0, 1]
    columns = {column.key: column for column in link.sent[0][0]}
    assert columns["gpu0/power_watts"].values == [310.5]
    assert columns["cpu_utilisation_ratio"].steps == [1_700_000_000], "node series count in seconds"
    description = link.sent[0][1][0].data
    assert [device["kind"] for device in description["devices"]] == ["gpu", "cpu", "cpu"]
    assert description["devices"][0]["latest"]["temperature_celsius"] == 61
    assert description["system"]["latest"]["memory_total_bytes"] > 0
