import getpass
import os
import subprocess
import sys
import time
from pathlib import Path

import pynvml
import pytest

from monitoring.hardware import gpu_processes, nvml
from monitoring.hardware.inventory import inventory
from monitoring.hardware.readings import present
from tests.hardware.fake_nvml import Card, FakeNvml


def test_a_healthy_card_reads_in_our_units():
    gpus = nvml.Gpus(FakeNvml(Card(0)))
    assert present(gpus.read(0), "gpu0/") == {
        "gpu0/utilisation_ratio": 0.87,
        "gpu0/memory_used_bytes": 12 * 2**30,
        "gpu0/memory_total_bytes": 80 * 2**30,
        "gpu0/power_watts": 310.5,
        "gpu0/power_limit_watts": 700.0,
        "gpu0/temperature_celsius": 61,
        "gpu0/sm_clock_hertz": 1.98e9,
        "gpu0/memory_clock_hertz": 2.619e9,
        "gpu0/throttle_ratio": 0.0,
        "gpu0/ecc_uncorrected_count": 0,
        "gpu0/xid_count": 0,
    }
    assert gpus.describe(0).healthy


def test_a_sensor_that_a_card_lacks_is_absent_and_the_card_is_well():
    gpus = nvml.Gpus(FakeNvml(Card(0, missing={"ecc", "power", "throttle"})))
    figures = present(gpus.read(0))
    assert not {"ecc_uncorrected_count", "power_watts", "throttle_ratio"} & set(figures)
    assert figures["temperature_celsius"] == 61
    assert gpus.describe(0).healthy


def test_one_lost_card_is_unhealthy_in_words_and_the_other_reads_on():
    fake = FakeNvml(Card(0, broken={"memory", "utilisation", "power"}), Card(1))
    gpus = nvml.Gpus(fake)
    lost = gpus.describe(0)
    assert not lost.healthy
    assert "lost" in lost.health_reason.lower()
    assert gpus.read(1).utilisation_ratio == 0.87
    fake.cards[0].broken.clear()
    assert gpus.describe(0).healthy, "a fault that passed is forgotten"


@pytest.mark.parametrize(
    ("reason", "ratio"),
    [
        ("nvmlClocksThrottleReasonGpuIdle", 0.0),
        ("nvmlClocksThrottleReasonSwPowerCap", 0.0),
        ("nvmlClocksThrottleReasonHwSlowdown", 1.0),
        ("nvmlClocksThrottleReasonHwThermalSlowdown", 1.0),
        ("nvmlClocksEventReasonSwThermalSlowdown", 1.0),
    ],
)
def test_throttling_means_heat_or_a_power_brake_not_idling(reason, ratio):
    gpus = nvml.Gpus(FakeNvml(Card(0, throttle=getattr(pynvml, reason))))
    assert gpus.read(0).throttle_ratio == ratio


@pytest.mark.parametrize(("xid", "healthy"), [(13, True), (31, True), (48, False), (79, False)])
def test_an_xid_counts_and_a_fatal_one_takes_the_card_out(xid, healthy):
    fake = FakeNvml(Card(0), Card(1))
    gpus = nvml.Gpus(fake)
    fake.report_xid(1, xid)
    gpus.poll_xids()
    assert gpus.read(1).xid_count == 1
    assert gpus.describe(1).healthy is healthy
    assert gpus.describe(0).healthy


def test_a_card_that_falls_off_the_bus_costs_neither_the_agent_nor_the_other_card():
    """XID 79: the event's card has no index any more, and cannot be opened."""
    fake = FakeNvml(Card(0), Card(1))
    gpus = nvml.Gpus(fake)
    fake.report_xid(1, 79)
    fake.report_xid(0, 13)
    fake.cards[1].broken = {"index", "memory", "utilisation", "power", "name", "uuid"}
    gpus.poll_xids()
    assert gpus.read(0).xid_count == 1
    assert gpus.describe(0).healthy
    assert "lost" in gpus.describe(1).health_reason.lower()


def test_a_card_that_cannot_be_opened_is_listed_as_unhealthy_and_taken_in_when_it_can():
    fake = FakeNvml(Card(0, broken={"handle"}), Card(1))
    gpus = nvml.Gpus(fake)
    _, devices = inventory(gpus, slots=1)
    assert [(d["kind"], d["index"], d["healthy"]) for d in devices] == [
        ("gpu", 0, False), ("gpu", 1, True), ("cpu", 0, True),
    ]  # fmt: skip
    assert "lost" in devices[0]["health_reason"].lower()
    assert present(gpus.read(0)) == {}
    fake.cards[0].broken.clear()
    assert gpus.describe(0).healthy
    assert gpus.read(0).utilisation_ratio == 0.87


def test_a_card_that_reports_no_xids_leaves_those_of_the_others_watched():
    fake = FakeNvml(Card(0, missing={"events"}), Card(1))
    gpus = nvml.Gpus(fake)
    fake.report_xid(1, 48)
    gpus.poll_xids()
    assert (gpus.read(0).xid_count, gpus.read(1).xid_count) == (None, 1)
    assert not gpus.describe(1).healthy


def test_a_card_in_mig_mode_lacks_some_sensors_and_is_well():
    mig = {"utilisation", "processes", "events"}
    gpus = nvml.Gpus(FakeNvml(Card(0, missing=mig, pids=[1])))
    figures = present(gpus.read(0))
    assert not {"utilisation_ratio", "xid_count"} & set(figures)
    assert figures["memory_used_bytes"] == 12 * 2**30
    assert (gpus.describe(0).healthy, gpus.describe(0).processes) == (True, ())


def test_a_driver_that_answers_nothing_is_a_node_without_gpus():
    fake = FakeNvml(Card(0))
    fake.silent = True
    system, devices = inventory(nvml.Gpus(fake), slots=1)
    assert (system["gpu_count"], system["gpu_driver"], len(devices)) == (0, None, 1)


def test_uncorrected_ecc_errors_take_the_card_out():
    gpus = nvml.Gpus(FakeNvml(Card(0, ecc=2)))
    assert gpus.describe(0).health_reason == "2 uncorrected ECC errors since the driver was loaded"


def test_a_process_on_the_card_is_linked_to_its_run_and_tells_whose_it_is_and_since_when():
    began = time.time()
    child = subprocess.Popen(
        [sys.executable, "-c", "print('up', flush=True); input()"],
        env=os.environ | {"SCALEWEB_RUN": "r7k2m"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    child.stdout.readline()
    try:
        gpus = nvml.Gpus(FakeNvml(Card(0, pids=[child.pid, 2**22 + 1])))
        mine, unknown = gpus.processes(0)
    finally:
        child.communicate(b"\n")
    assert (mine.run, mine.memory_used_bytes) == ("r7k2m", 3 * 2**30)
    assert (mine.user, mine.command) == (getpass.getuser(), Path(sys.executable).name), "no argument is told"
    assert abs(mine.started_at - began) < 60
    assert (unknown.run, unknown.user, unknown.command, unknown.started_at) == (None, "", "", None)


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/usr/bin/python3.11", "-u", "/home/ada/train.py", "--token", "s3cret"], "python3.11 train.py"),
        (["python", "-X", "dev", "-m", "lm.train", "--lr", "1"], "python -m lm.train"),
        (["python3", "/opt/bin/torchrun", "--nproc-per-node", "8", "train.py"], "python3 torchrun"),
        (["python3", "-c", "import secrets"], "python3"),
        (["/opt/llama/server", "--api-key", "s3cret"], "server"),
        (["VLLM::EngineCore --key s3cret"], "VLLM::EngineCore"),
        (["python3"], "python3"),
        ([], "Xorg"),
        ([""], "Xorg"),
    ],
)
def test_a_program_is_told_with_its_script_and_without_arguments(argv, command):
    assert gpu_processes.command_of(argv, "Xorg") == command


def test_no_driver_is_a_cpu_node(monkeypatch):
    def no_driver():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_driver)
    gpus = nvml.Gpus(nvml.load())
    system, devices = inventory(gpus, slots=3)
    assert (system["gpu_count"], system["gpu_driver"]) == (0, None)
    assert [(device["kind"], device["index"]) for device in devices] == [("cpu", 0), ("cpu", 1), ("cpu", 2)]


def test_a_gpu_node_lists_its_gpus_and_its_cpu_slots():
    system, devices = inventory(nvml.Gpus(FakeNvml(Card(0), Card(1))), slots=1)
    assert system["gpu_driver"] == "580.65.06"
    assert [(d["kind"], d["index"], d["uuid"]) for d in devices] == [
        ("gpu", 0, "GPU-00000000"),
        ("gpu", 1, "GPU-00000001"),
        ("cpu", 0, ""),
    ]
