"""The NVML paths on a real NVIDIA GPU; skipped, with the reason, where there is none."""

import os

import pytest

from monitoring.hardware import nvml
from monitoring.hardware.inventory import inventory
from monitoring.hardware.readings import present

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def gpus():
    library = nvml.load()
    if library is None:
        pytest.skip("no NVIDIA driver here")
    return nvml.Gpus(library)


def test_every_card_reads_sane_figures(gpus):
    assert gpus.handles
    for index in range(len(gpus.handles)):
        figures = present(gpus.read(index))
        assert 0 <= figures["utilisation_ratio"] <= 1
        assert 0 < figures["memory_used_bytes"] < figures["memory_total_bytes"]
        assert 1 < figures["power_watts"] < 2000
        assert 0 < figures["temperature_celsius"] < 120
        assert figures["sm_clock_hertz"] > 1e7
        assert gpus.describe(index).healthy, gpus.describe(index).health_reason


def test_a_process_with_a_cuda_context_is_linked_to_its_run(gpus):
    import subprocess
    import sys

    code = (
        "import torch; x = torch.ones(2**24, device='cuda'); torch.cuda.synchronize(); "
        "print('up', flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"SCALEWEB_RUN": "r7k2m", "CUDA_VISIBLE_DEVICES": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if child.stdout.readline().strip() != b"up":
            pytest.skip("this torch build has no CUDA")
        seen = {process.pid: process for process in gpus.processes(0)}
        if child.pid not in seen:
            pytest.skip("the driver hides process ids in this container")
        assert seen[child.pid].run == "r7k2m"
    finally:
        child.communicate(b"\n")


def test_the_inventory_names_driver_and_cards(gpus):
    system, devices = inventory(gpus, slots=1)
    assert system["gpu_driver"]
    assert [device["kind"] for device in devices].count("gpu") == len(gpus.handles)
