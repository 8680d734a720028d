"""How a job's command is started on a node: once, or by torchrun once for each device of a gang."""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

import psutil
from django.conf import settings

from monitoring.models import Device
from training.models import Attempt, Member
from training.models.job import Launcher

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PYTHON = re.compile(r"python(\d(\.\d+)?)?(\.exe)?$")
LOOPBACK = "127.0.0.1"


def argv_of(attempt: Attempt, member: Member | None) -> list[str]:
    """The command of this node's part. torchrun takes it whole, so any program that reads the rank variables will do.

    One agent a node. On one node it finds a port by itself; over several, the first node's worker told where to meet,
    and torchrun's own static rendezvous does the rest.
    """
    argv: list[str] = attempt.job.argv
    nodes = 1 + len(attempt.members.all())
    if attempt.job.launcher != Launcher.TORCHRUN or is_alone(attempt):
        return argv
    python = argv[0] if PYTHON.match(PurePath(argv[0]).name) else "python"
    started = [
        python,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(len(devices_here(attempt, member))),
    ]
    if nodes == 1:
        where = ["--standalone", "--local-addr", LOOPBACK]
    else:
        rank = 0 if member is None else member.node_rank
        where = [
            "--nnodes", str(nodes), "--node-rank", str(rank),
            "--master-addr", attempt.master_address, "--master-port", str(attempt.master_port),
        ]  # fmt: skip
    # A rank that failed is not started again by torchrun: the whole attempt is, from its checkpoint.
    return [*started, *where, "--max-restarts", "0", "--no-python", *argv]


def is_alone(attempt: Attempt) -> bool:
    """Whether a gang has one rank only: it needs no agent, which would take a second or two to start."""
    return not attempt.members.all() and len(attempt.devices.all()) == 1


def devices_here(attempt: Attempt, member: Member | None) -> list[Device]:
    node = attempt.node_id if member is None else member.node_id
    return sorted(
        (device for device in attempt.devices.all() if device.node_id == node),
        key=lambda device: device.index,
    )


def environment_of(attempt: Attempt, member: Member | None) -> dict[str, str]:
    """Which devices the node's part may see, its threads, and what the SDK says of the job to its script.

    Threads: a CPU job has as many as it has slots, each rank of a gang one; a rank on a GPU its share of the cores.
    """
    job = attempt.job
    devices = devices_here(attempt, member)
    ranks = job.launcher == Launcher.TORCHRUN
    if job.device_kind == Device.Kind.GPU:
        # The card's own name: its number may be another one after a restart of the host.
        seen = {"CUDA_VISIBLE_DEVICES": ",".join(device.uuid or str(device.index) for device in devices)}
        gpus = (
            Device.objects.filter(node_id=devices[0].node_id, kind="gpu", removed=False).count()
            if devices
            else 1
        )
        threads = max(1, (os.cpu_count() or 1) // max(1, gpus)) if ranks else 0
    else:
        seen = {"CUDA_VISIBLE_DEVICES": ""}
        threads = 1 if ranks else len(devices)
    found = seen | (dict.fromkeys(THREAD_VARIABLES, str(threads)) if threads else {})
    found |= {
        "SCALEWEB_DEVICES": str(attempt.devices.count()),
        "SCALEWEB_MIN_DEVICES": str(job.min_devices),
        "SCALEWEB_MAX_DEVICES": str(job.max_devices),
        "SCALEWEB_KEEP": job.keep,
    }
    if ranks and is_alone(attempt):
        found |= dict.fromkeys(("RANK", "LOCAL_RANK", "GROUP_RANK"), "0")
        found |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), "1")
        found |= {"MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(free_port(LOOPBACK))}
    return found | (interface_variables(attempt) if ranks else {})


def interface_variables(attempt: Attempt) -> dict[str, str]:
    """By which network interface ranks talk: gloo and nccl guess by the host's name, which often is the loopback's."""
    several = bool(attempt.members.all())
    name = interface_of(own_address() if several else LOOPBACK)
    if not name:
        return {}
    return {"GLOO_SOCKET_IFNAME": name} | ({"NCCL_SOCKET_IFNAME": name} if several else {})


def own_address() -> str:
    """SCALEWEB_NODE_ADDRESS, else the address of this host by which it reaches the site."""
    if settings.NODE_ADDRESS:
        return str(settings.NODE_ADDRESS)
    parts = urlsplit(settings.PUBLIC_URL)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, target = found[0]
        with socket.socket(family, kind, protocol) as asked:
            asked.connect(target)  # of a datagram socket: nothing is sent
            return str(asked.getsockname()[0])
    except (OSError, IndexError):
        return socket.gethostname()


def interface_of(address: str, interfaces: Mapping[str, Any] | None = None) -> str:
    for name, addresses in (interfaces or psutil.net_if_addrs()).items():
        if any(each.address == address for each in addresses):
            return name
    return ""


def free_port(address: str) -> int:
    """One that nobody listens on now. torchrun binds it a moment later; another program may be faster."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((address, 0))
        return int(listener.getsockname()[1])
