import re
from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring import nodes
from monitoring.hardware import agent
from monitoring.models import Node
from training.jobs.node_loop import NodeLoop

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

GPU = {"kind": "gpu", "index": 0, "name": "NVIDIA H100", "uuid": "GPU-1", "memory_total_bytes": 80 * 2**30}
CPU = {"kind": "cpu", "index": 0, "name": "Xeon"}


def test_registering_again_refreshes_and_keeps_what_an_operator_set():
    node = nodes.register("a", {"hostname": "a.lan", "cpu_count": 8}, [GPU, CPU])
    Node.objects.filter(pk=node.pk).update(cordoned=True, labels={"rack": "2"})
    again = nodes.register(
        "a", {"hostname": "a.lan", "cpu_count": 16, "latest": {"load_1m": 1.5}}, [GPU, CPU]
    )
    again.refresh_from_db()
    assert (again.pk, again.cordoned, again.labels) == (node.pk, True, {"rack": "2"})
    assert (again.system, again.latest) == ({"hostname": "a.lan", "cpu_count": 16}, {"load_1m": 1.5})
    assert again.devices.count() == 2


def test_a_device_that_is_no_longer_listed_is_removed_and_comes_back():
    node = nodes.register("a", {}, [GPU, CPU])
    nodes.register("a", {}, [CPU])
    assert list(node.devices.filter(removed=True).values_list("kind", flat=True)) == ["gpu"]
    nodes.register("a", {}, [GPU, CPU])
    assert not node.devices.filter(removed=True).exists()


def test_a_node_that_lies_about_its_devices_is_refused_whole():
    with pytest.raises(nodes.BadInventory, match="gpu0 is listed twice"):
        nodes.register("liar", {}, [CPU, GPU, GPU])
    assert not Node.objects.filter(name="liar").exists()


@pytest.mark.parametrize("name", ["rack/7", "", "-a", "a b", "a_b", "../x", "a" * 61, "größe"])
def test_a_name_that_no_node_can_have_is_refused_by_site_worker_and_agent(
    name, monkeypatch, capsys, settings, tmp_path
):
    words = f"{name[:80]!r} cannot be a node's name: expected 1 to 60 letters, digits, dots and dashes"
    settings.HOME = tmp_path
    with pytest.raises(nodes.BadInventory, match=re.escape(words)):
        nodes.register(name, {}, [CPU])
    with pytest.raises(nodes.BadInventory, match=re.escape(words)):
        NodeLoop(name).look()
    assert not Node.objects.exists()
    assert not list(tmp_path.iterdir()), "a folder was made for it"
    for variable, value in {"URL": "http://127.0.0.1:1", "TOKEN": "t", "NODE": name or " "}.items():
        monkeypatch.setenv(f"SCALEWEB_{variable}", value)
    assert agent.main() == 2
    assert "cannot be a node's name: expected 1 to 60 letters" in capsys.readouterr().err


def test_one_card_is_not_two_online_nodes_and_one_that_moved_is_its_new_nodes():
    nodes.register("a", {"hostname": "a.lan"}, [GPU, CPU])
    words = r"gpu1 with the UUID GPU-1 is gpu0 of node a, which is online.*Let one worker tell of it"
    with pytest.raises(nodes.BadInventory, match=words):
        nodes.register("b", {"hostname": "b.lan"}, [GPU | {"index": 1}])
    assert not Node.objects.filter(name="b").exists()
    nodes.register("a", {"hostname": "a.lan"}, [GPU, CPU])
    nodes.leave("a")
    nodes.register("b", {"hostname": "b.lan"}, [GPU])
    a = Node.objects.get(name="a")
    assert list(a.devices.values_list("kind", "removed")) == [("cpu", False), ("gpu", True)]
    with pytest.raises(nodes.BadInventory, match="is gpu0 of node b"):
        nodes.register("a", {"hostname": "a.lan"}, [GPU, CPU])


def test_two_hosts_are_not_one_node_until_the_first_has_gone_silent(settings):
    first = nodes.register("a", {"hostname": "a.lan"}, [GPU])
    with pytest.raises(
        nodes.NameTaken, match=r"node a is online on host a\.lan, and this is host b\.lan: give .*name"
    ):
        nodes.register("a", {"hostname": "b.lan"}, [CPU])
    first.refresh_from_db()
    assert first.hostname == "a.lan"
    assert list(first.devices.values_list("kind", "removed")) == [("gpu", False)]
    Node.objects.filter(pk=first.pk).update(
        last_seen_at=timezone.now() - timedelta(seconds=settings.SILENT_SECONDS + 1)
    )
    assert nodes.register("a", {"hostname": "b.lan"}, [CPU]).pk == first.pk


def test_two_data_folders_of_one_host_are_not_one_node():
    here = {"hostname": "a.lan", "data_folder": "/srv/one", "data_folder_id": "1"}
    other = here | {"data_folder": "/srv/two", "data_folder_id": "2"}
    first = nodes.register("a", here, [GPU])
    wanted = r"on this host with the data folder /srv/one, and this worker has /srv/two: .*\(SCALEWEB_HOME\)"
    with pytest.raises(nodes.NameTaken, match=wanted):
        nodes.register("a", other, [CPU])
    assert nodes.still_is(first)
    nodes.leave("a")
    assert nodes.register("a", other, [CPU]).system["data_folder"] == "/srv/two"
    assert not nodes.still_is(first)


def test_a_host_that_was_stopped_in_order_gives_its_name_free_at_once():
    nodes.register("a", {"hostname": "a.lan"}, [GPU])
    nodes.leave("a")
    assert nodes.register("a", {"hostname": "b.lan"}, [GPU]).hostname == "b.lan"


def test_a_node_goes_silent_then_lost_and_revives_with_a_sign_of_life(settings):
    node = nodes.register("a", {}, [CPU])
    now = timezone.now()

    def state_at(seconds):
        nodes.mark_absent(now + timedelta(seconds=seconds))
        node.refresh_from_db()
        return node.state

    assert state_at(settings.SILENT_SECONDS - 1) == Node.State.ONLINE
    assert state_at(settings.SILENT_SECONDS + 1) == Node.State.SILENT
    assert state_at(settings.LOST_SECONDS + 1) == Node.State.LOST
    nodes.seen("a")
    node.refresh_from_db()
    assert node.state == Node.State.ONLINE


def test_overlong_names_are_clipped_not_refused():
    node = nodes.register("a", {}, [GPU | {"name": "x" * 10_000}])
    assert len(node.devices.get().name) == 200
