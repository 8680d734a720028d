"""The register of nodes: who is there, what they are made of, and who has gone silent."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from .claims import BadInventory, Place, check_name, checked, named
from .live.publish import publish_change
from .models import Device, Node

__all__ = ["BadInventory"]  # raised by `register`


class NameTaken(BadInventory):
    """Another worker that was heard a moment ago has this name; the message says which and what to do."""


@transaction.atomic
def register(name: str, system: dict, devices: list[dict], anew: bool = False) -> Node:
    """Create or refresh a node and its devices; devices it no longer lists are marked removed.

    anew: by its worker, which has just started. A device that was not found at a job's start is tried again only then.

    system: facts of the host; its key "latest", when present, is the latest host reading.
    devices: maps with kind, index and any of DEVICE_FIELDS. Raises BadInventory, and NameTaken where two workers would
    be one node: each would find nothing of the jobs that the other has started, and end them.
    """
    check_name(name)
    wanted = checked(system, devices)
    system = dict(system)
    host = str(system.get("hostname", ""))[:255]
    refuse_another(name, host, system)
    refuse_a_device_of_another(name, wanted)
    values = {"hostname": host, "last_seen_at": Now()}
    latest = system.pop("latest", None)
    if latest is not None:
        values["latest"] = latest
    values["system"] = system
    node, _ = Node.objects.update_or_create(name=name, defaults=values)
    back_online(node)
    have = {(device.kind, device.index): device for device in node.devices.all()}
    for place, fields in wanted.items():
        refresh_device(node, have.pop(place, None), place, fields, anew)
    gone = [device.pk for device in have.values() if not device.removed]
    Device.objects.filter(pk__in=gone).update(removed=True)
    return node


def refuse_another(name: str, host: str, system: dict) -> None:
    there = Node.objects.select_for_update().filter(name=name, state=Node.State.ONLINE).exclude(hostname="")
    heard = there.filter(last_seen_at__gt=Now() - timedelta(seconds=settings.SILENT_SECONDS)).first()
    if heard is None:
        return
    a_name = "give this worker a name of its own (SCALEWEB_NODE)"
    stop = f"stop the one there and wait {settings.SILENT_SECONDS:g} s"
    if host and heard.hostname != host:
        raise NameTaken(
            f"a node {name} is online on host {heard.hostname}, and this is host {host}: {a_name}, or {stop}"
        )
    if differ(folder_of(heard.system), folder_of(system)):
        raise NameTaken(
            f"a node {name} is online on this host with the data folder {heard.system.get('data_folder')}, and this "
            f"worker has {system.get('data_folder')}: {a_name}, start it in that folder (SCALEWEB_HOME), or {stop}"
        )


def folder_of(system: dict) -> str:
    """The identity of the data folder in which a node works; "" where it does not say."""
    return str(system.get("data_folder_id") or "")


def differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def still_is(node: Node) -> bool:
    """Whether the node is still the host and the folder that it was when `register` returned it.

    A host that was silent for a while may find that another has taken its name.
    """
    now = Node.objects.filter(pk=node.pk).only("hostname", "system").first()
    if now is None or differ(now.hostname, node.hostname):
        return False
    return not differ(folder_of(now.system), folder_of(node.system))


def refuse_a_device_of_another(name: str, wanted: dict[Place, dict]) -> None:
    """A card is given out by one node. One that was in a node which is not online any more has moved."""
    places = {fields["uuid"]: place for place, fields in wanted.items() if fields.get("uuid")}
    if not places:
        return
    known = Device.objects.filter(uuid__in=places, removed=False).select_related("node")
    own = {device.uuid: device.pk for device in known.filter(node__name=name)}
    others = known.exclude(node__name=name)
    for device in others.filter(node__state=Node.State.ONLINE).order_by("pk"):
        if own.get(device.uuid, device.pk) >= device.pk:
            raise BadInventory(
                f"{named(places[device.uuid])} with the UUID {device.uuid} is {device.kind}{device.index} of node "
                f"{device.node.name}, which is online: one of the two is wrong about it, or both are one host. "
                "Let one worker tell of it"
            )
    others.exclude(node__state=Node.State.ONLINE).update(removed=True)


def refresh_device(
    node: Node, device: Device | None, place: Place, fields: dict[str, Any], anew: bool
) -> None:
    if device is None:
        Device.objects.create(node=node, kind=place[0], index=place[1], **fields)
        return
    fields = dict(fields)
    if device.not_found_at is not None:
        if anew or device.removed:
            fields = {"healthy": True, "health_reason": "", "not_found_at": None} | fields
        else:
            # Who looked for it and did not find it is believed before who tells of it.
            fields.pop("healthy", None)
            fields.pop("health_reason", None)
    changed = {name: value for name, value in fields.items() if getattr(device, name) != value}
    if device.removed:
        changed["removed"] = False
    if changed:
        Device.objects.filter(pk=device.pk).update(**changed)


def not_found(device: Device, reason: str) -> None:
    """A job was to start on a device that is not there, whatever its node says: nothing more is placed on it until its
    worker is started again."""
    Device.objects.filter(pk=device.pk).update(healthy=False, health_reason=reason[:500], not_found_at=Now())
    announce(device.node.name, device.node.state)


def seen(name: str) -> None:
    """A sign of life from a node: it is online now."""
    node = Node.objects.filter(name=name).first()
    if node is not None:
        Node.objects.filter(pk=node.pk).update(last_seen_at=Now())
        back_online(node)


def leave(name: str) -> None:
    """A node's worker goes away in an orderly way: nothing is placed there until it is seen again."""
    if Node.objects.filter(name=name, state=Node.State.ONLINE).update(state=Node.State.SILENT):
        announce(name, Node.State.SILENT)


def unheard(name: str, seconds: float) -> None:
    """A lease of this node ran out: nothing is placed there until it is seen again, if it gave no other sign of life.

    seconds: less than a lease. A dead node's last sign may have come after its last renewal, since others than its
    loop give them. `mark_absent` comes later, and a job that was just lost there would be given to the dead node again.
    """
    quiet = Node.objects.filter(
        name=name, state=Node.State.ONLINE, last_seen_at__lt=Now() - timedelta(seconds=seconds)
    )
    if quiet.update(state=Node.State.SILENT):
        announce(name, Node.State.SILENT)


def back_online(node: Node) -> None:
    won = Node.objects.filter(pk=node.pk).exclude(state=Node.State.ONLINE).update(state=Node.State.ONLINE)
    if won:
        node.state = Node.State.ONLINE
        announce(node.name, Node.State.ONLINE)


def mark_absent(now=None) -> int:
    """Mark nodes not heard of lately as silent, then lost. Returns how many changed."""
    # By the database's clock, as it was noted: a host's own may be off.
    now = now or Now()
    silent_since = now - timedelta(seconds=settings.SILENT_SECONDS)
    lost_since = now - timedelta(seconds=settings.LOST_SECONDS)
    changed = 0
    for state, since, from_states in (
        (Node.State.LOST, lost_since, (Node.State.ONLINE, Node.State.SILENT)),
        (Node.State.SILENT, silent_since, (Node.State.ONLINE,)),
    ):
        late = Node.objects.filter(state__in=from_states, last_seen_at__lt=since)
        for name in late.values_list("name", flat=True):
            # The same conditions again in the update: a sign of life may have come in between.
            won = late.filter(name=name).update(state=state)
            if won:
                changed += 1
                announce(name, state)
    return changed


def remove(node: Node) -> None:
    """Delete a node, and tell those who look at it. Raises ProtectedError where something ran on it."""
    node.delete()
    for topic in (f"node:{node.name}", "fleet"):
        publish_change(topic, "node", {"name": node.name, "deleted": True})


def announce(name: str, state: str) -> None:
    for topic in (f"node:{name}", "fleet"):
        publish_change(topic, "node", {"name": name, "state": state})
