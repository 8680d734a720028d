"""Three hosts with addresses of their own: the site, database and broker on one, a node that joined on each other.

In the middle of a training over both nodes the broker is killed, the web server stays away, and a cable is pulled and
put back; then a host dies under a job. `make hosts`; skipped, with the reason, where no namespaces can be made.
"""

import os
import signal
import time
from datetime import datetime

import pytest

from tests.hosts.hosts import LEASE_SECONDS, Hosts
from tests.support.network import why_not
from tests.support.records import STEADY, devices_kept, lost_lines, lost_points, open_ends, two_live_attempts
from tests.support.tally import made
from tests.support.wait import until

REASON = why_not()
pytestmark = [
    pytest.mark.hosts,
    pytest.mark.processes,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(REASON), reason=REASON),
]
# A step of both ranks, exchanged by gloo; rank 0 says when it is enough, so that none waits for one that has left.
GANG = """
    import os, pathlib, sys, time
    import torch, torch.distributed as dist
    import scaleweb_sdk, scaleweb_sdk.torch
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dist.init_process_group("gloo")
    data = torch.utils.data.TensorDataset(torch.randn(512, 16), torch.randint(4, (512,)))
    sampler = torch.utils.data.distributed.DistributedSampler(data)
    loader = torch.utils.data.DataLoader(data, batch_size=16, sampler=sampler)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with scaleweb_sdk.init() as run:
        loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, checkpoint_every=20)
        for step, (values, label) in loop.batches(max_steps=1_000_000):
            loop.backward(torch.nn.functional.cross_entropy(model(values), label))
            time.sleep(0.03)
            if (pathlib.Path(sys.argv[1]) / "end").exists():
                run.desk.stop("it has seen enough")
    dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    made = Hosts(folder)
    try:
        yield made
    finally:
        made.close()


def test_a_training_over_two_hosts_outlives_broker_web_server_and_cable(hosts, tmp_path):
    job = hosts.submit(
        GANG, tmp_path, launcher="torchrun", min_devices=1, max_devices=2, max_nodes=2, max_retries=0
    )
    hosts.goes_on(job)
    until(lambda: {rank["node"] for rank in hosts.ranks(job)} == {"b", "c"}, 20, every=0.2)

    hosts.broker.kill()
    hosts.goes_on(job)
    hosts.broker.start()
    hosts.goes_on(job)

    # Whoever would start it again is held meanwhile.
    os.kill(hosts.site.process.pid, signal.SIGSTOP)
    web = hosts.site.child("web")
    web.send_signal(signal.SIGKILL)
    made("kill -9 of web")
    away = time.monotonic() + LEASE_SECONDS + 3
    until(lambda: time.monotonic() > away, LEASE_SECONDS + 5)
    os.kill(hosts.site.process.pid, signal.SIGCONT)
    hosts.goes_on(job)
    assert [attempt["outcome"] for attempt in hosts.attempts(job)] == [""], "neither of them costs an attempt"

    hosts.c.cut()
    until(lambda: len(hosts.attempts(job)) == 2, 40, every=0.2)
    hosts.goes_on(job)
    first, second = sorted(hosts.attempts(job), key=lambda attempt: attempt["number"])
    assert first["outcome"] == "lost"
    assert second["node"] == "b"

    hosts.c.heal()
    until(lambda: hosts.state_of("c") == "online", 30, every=0.2)
    until(lambda: not [p for p in hosts.c.processes() if "torch" in " ".join(p.cmdline())], 60, every=0.5)
    hosts.goes_on(job)
    assert len(hosts.attempts(job)) == 2, "what comes back after its lease changes nothing"
    (tmp_path / "end").touch()
    until(lambda: hosts.run(job)["state"] == "stopped", 60, every=0.2)
    in_order(hosts)
    steps_are_whole(hosts, job)


def test_a_job_of_a_host_that_dies_goes_on_elsewhere_and_nothing_acknowledged_is_lost(hosts, tmp_path):
    job = hosts.submit(STEADY, tmp_path, 0.02, max_retries=2)
    hosts.goes_on(job, 100)
    (first,) = hosts.attempts(job)
    dying = hosts.b if first["node"] == "b" else hosts.c
    at = time.time()
    dying.kill()
    made("host gone")
    until(lambda: len(hosts.attempts(job)) == 2, 60, every=0.1)
    hosts.goes_on(job)
    first, second = sorted(hosts.attempts(job), key=lambda attempt: attempt["number"])
    assert first["outcome"] == "lost"
    assert second["node"] != dying.name
    print(f"running elsewhere after {moment(second['started_at']) - at:.1f} s, lease {LEASE_SECONDS} s")
    (tmp_path / "end").touch()
    until(lambda: hosts.run(job)["state"] == "finished", 60, every=0.2)
    in_order(hosts)
    # The host that died took along what it had not sent: its checkpoint had been acknowledged, and all before it.
    until(lambda: not lost_points(hosts.api, job["run"], tmp_path), 30, every=1)
    folder = hosts.folder / second["node"] / "attempts" / f"{job['code']}-2"
    until(lambda: not lost_lines(hosts.api, job["run"], [folder]), 30, every=1)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def in_order(hosts) -> None:
    rows = hosts.database.rows
    assert two_live_attempts(rows) == []
    assert devices_kept(rows) == []
    assert open_ends(rows) == []


def steps_are_whole(hosts, job) -> None:
    """Each step of the line that led to the end is there once."""
    import json
    from collections import Counter

    found: dict[int, Counter[int]] = {}
    for line in hosts.api.text(f"runs/{job['run']}/export?format=jsonl&keys=loss").splitlines():
        point = json.loads(line)
        found.setdefault(point["branch"], Counter())[point["step"]] += 1
    end = hosts.run(job)["last_step"]
    for branch in sorted(hosts.run(job)["branches"], key=lambda branch: -branch["index"]):
        there = found[branch["index"]]
        assert not [step for step in range(branch["from_step"] + 1, end) if there[step] != 1]
        end = min(end, branch["from_step"])
