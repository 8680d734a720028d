"""A worker that was given the name of another host's node."""

import pytest

from monitoring import nodes
from monitoring.models import Node
from training.jobs import tasks
from training.jobs.node_loop import NodeLoop
from training.models import Attempt


def test_a_worker_whose_name_is_another_hosts_starts_none_of_its_jobs_and_does_not_close_it(bench):
    twin = NodeLoop("bench")
    Node.objects.filter(name="bench").update(hostname="elsewhere")
    job = bench.python("print('here')")
    tasks.place_tick()
    # Both take tasks out of the node's queue; this one came to the wrong host.
    with pytest.raises(nodes.NameTaken):
        twin.look()
    assert twin.start(Attempt.objects.get(job=job).pk) is False
    twin.close(stop_jobs=True)
    assert Node.objects.get(name="bench").state == Node.State.ONLINE
    assert bench.until_over(job).state == "done"
    assert bench.attempt(job).number == 1
