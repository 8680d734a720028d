import pytest

from monitoring.claims import BadInventory, checked
from monitoring.hardware.inventory import inventory
from monitoring.hardware.nvml import Gpus
from tests.hardware.fake_nvml import Card, FakeNvml

GPU = {"kind": "gpu", "index": 0, "name": "NVIDIA H100", "uuid": "GPU-1", "memory_total_bytes": 80 * 2**30}
CPU = {"kind": "cpu", "index": 0}


@pytest.mark.parametrize(
    ("system", "devices", "words"),
    [
        ({}, [{"kind": "tpu", "index": 0}], "kind='tpu'"),
        ({}, [{"kind": ["gpu"], "index": 0}], r"kind=\['gpu'\]"),
        ({}, [{"kind": "gpu", "index": -1}], "index=-1"),
        ({}, [{"kind": "gpu", "index": "0"}], "index='0'"),
        ({}, [{"kind": "gpu", "index": True}], "index=True"),
        ({}, [{"kind": "gpu", "index": 1024}], "index=1024.*0..1023"),
        ({}, [GPU, GPU], "gpu0 is listed twice"),
        ({}, [GPU, GPU | {"index": 1}], "gpu0 and gpu1 have one UUID, GPU-1"),
        ({}, [GPU | {"memory_total_bytes": -1}], "memory_total_bytes='-1': expected 1 to .* on gpu0"),
        ({}, [GPU | {"memory_total_bytes": 2**60}], "memory_total_bytes='1152921504606846976'"),
        ({}, [GPU | {"memory_total_bytes": "80 GB"}], "memory_total_bytes='80 GB'"),
        ({}, [GPU | {"healthy": "yes"}], "healthy of gpu0 is 'yes'; expected true or false"),
        ({}, [GPU | {"processes": {}}], "processes of gpu0 .*expected a list"),
        ({}, [GPU | {"processes": [7]}], "processes of gpu0 holds something else than maps"),
        ({}, [GPU | {"latest": [1]}], "latest of gpu0 .*expected a map"),
        ({"memory_bytes": -5}, [CPU], "memory_bytes='-5'.*main memory"),
        ({"memory_bytes": 1e30}, [CPU], "memory_bytes='1e"),
        ({"cpu_count": 0}, [CPU], "cpu_count='0'.*cores"),
        ({"cpu_count": 1}, [CPU, CPU | {"index": 1}], r"2 CPU slots and .* has 1 cores.*\(SCALEWEB_CPU_SLOTS\)"),
        ({"cpu_count": 1, "cpu_slots": 2}, [CPU | {"index": i} for i in range(3)], "3 CPU slots"),
    ],
)  # fmt: skip
def test_what_cannot_be_true_is_refused_in_words(system, devices, words):
    with pytest.raises(BadInventory, match=words):
        checked(system, devices)


def test_what_this_host_and_a_host_of_two_cards_say_of_themselves_is_taken(tmp_path):
    for gpus in (Gpus(None), Gpus(FakeNvml(Card(0), Card(1, broken={"handle"})))):
        system, devices = inventory(gpus, slots=3, home=tmp_path)
        assert len(checked(system, devices)) == len(devices)


@pytest.mark.parametrize(
    ("system", "devices"),
    [
        ({}, []),
        ({"memory_bytes": None, "cpu_count": None}, [GPU | {"memory_total_bytes": None, "uuid": ""}]),
        ({}, [GPU | {"uuid": ""}, GPU | {"uuid": "", "index": 1}]),
        ({"cpu_count": 1, "cpu_slots": 2}, [CPU, CPU | {"index": 1}]),
        ({"cpu_count": 64}, [CPU]),
    ],
)
def test_what_is_unknown_or_was_asked_for_is_taken(system, devices):
    assert len(checked(system, devices)) == len(devices)
