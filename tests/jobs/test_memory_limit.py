"""A training is held to the main memory that its job asked for: real processes that take it."""

import os
import subprocess
import sys
import textwrap

import pytest

from tests.support.wait import until
from training.jobs.memory_limit import Family
from training.models import Attempt

MIB = 2**20


@pytest.fixture
def running():
    started = []

    def start(code, *arguments):
        argv = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
        started.append(child)
        assert child.stdout.readline() == b"ready\n"
        return child

    yield start
    for child in started:
        Family(child.pid).kill()
        child.wait()
        child.stdout.close()


def test_private_memory_of_a_process_and_its_children_counts_also_after_their_parent_has_ended(running):
    leader = running(
        """
        import subprocess, sys, time
        code = "import time; kept = bytearray(60 * 2**20); print('there', flush=True); time.sleep(600)"
        middle = '''
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, start_new_session=True)
        child.stdout.readline()
        print("there", flush=True)
        sys.stdin.read()
        '''
        import textwrap
        asked = subprocess.Popen([sys.executable, "-c", textwrap.dedent(middle), code], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, start_new_session=True)
        asked.stdout.readline()
        print("ready", flush=True)
        time.sleep(1)
        asked.communicate()
        time.sleep(600)
        """
    )
    family = Family(leader.pid)
    assert len(family.look()) == 3
    assert 60 * MIB < family.used_bytes(0) < 160 * MIB
    until(lambda: len(family.look()) == 2, 20)
    assert family.used_bytes(0) > 60 * MIB, "the grandchild, whose parent has ended, is still counted"


def test_shared_memory_counts_once_and_pages_of_files_do_not(running, tmp_path):
    (tmp_path / "data").write_bytes(os.urandom(80 * MIB))
    leader = running(
        """
        import mmap, os, sys, time
        shared = mmap.mmap(-1, 60 * 2**20)
        shared.write(bytes(60 * 2**20))
        file = open(sys.argv[1], "rb")
        pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        total = sum(pages[place] for place in range(0, len(pages), 4096))
        for _ in range(3):
            if os.fork() == 0:
                total = sum(shared[place] for place in range(0, len(shared), 4096))
                time.sleep(600)
        time.sleep(0.5)
        print("ready", flush=True)
        time.sleep(600)
        """,
        tmp_path / "data",
    )
    family = Family(leader.pid)
    assert len(family.look()) == 4
    assert 60 * MIB < family.used_bytes(0) < 140 * MIB
    assert family.used_bytes(10**12) >= family.used_bytes(0), "the cheap count is never less"


@pytest.mark.processes
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_job_that_takes_more_than_it_asked_for_is_ended_and_told_so_and_one_within_it_is_not(bench):
    bench.loop.node.system = {"memory_bytes": 2**34}
    bench.loop.node.save()
    over = bench.python("import time; kept = bytearray(300 * 2**20); time.sleep(600)", memory_bytes=100 * MIB)
    within = bench.python(
        "import time; kept = bytearray(30 * 2**20); time.sleep(1.5)", memory_bytes=200 * MIB
    )
    over, within = bench.until_over(over), bench.until_over(within)
    assert (over.state, within.state) == ("failed", "done")
    attempt = Attempt.objects.get(job=over)
    assert attempt.signal == "SIGKILL"
    assert attempt.first_error_line.startswith("it used ")
    assert attempt.first_error_line.endswith(
        " MiB of main memory and had asked for 100 MiB: ask for more (--memory)"
    )
    assert over.run.events.filter(kind="attempt", reason=attempt.first_error_line).exists()
