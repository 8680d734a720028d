"""The simulated cluster: its own rules, whoever schedules."""

from dataclasses import replace

import pytest

from benchmarks.cluster import philly
from benchmarks.cluster.engine import ROUND_SECONDS, Overcommitted, simulate
from benchmarks.cluster.measures import measures
from benchmarks.cluster.schedulers import ALL
from benchmarks.cluster.study import TRACES, cases
from benchmarks.cluster.workload import Cluster, cluster, generated, recorded

DEVELOPMENT = 1000
SMALL = Cluster(tuple((number, "a", 4) for number in range(4)))
MIXED = Cluster(tuple((number, "ab"[number % 2], 4) for number in range(4)))


def few(seed=DEVELOPMENT, jobs=14, kinds=("a",)):
    """Short jobs, so that a simulation is a matter of a tenth of a second."""
    return [replace(job, work=job.work / 20) for job in generated(seed, jobs, 0.5, kinds)]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("where", [SMALL, MIXED], ids=["one kind", "two kinds"])
def test_every_job_ends_once_and_all_its_work_is_done(name, where):
    jobs = few(kinds=tuple(where.kinds))
    ended = simulate(jobs, where, ALL[name](), DEVELOPMENT)
    assert sorted(one.number for one in ended.outcomes) == [job.number for job in jobs]
    for one, job in zip(sorted(ended.outcomes, key=lambda one: one.number), jobs, strict=True):
        assert job.submitted <= one.started < one.finished
        assert one.device_seconds > 0
    assert ended.busy_device_seconds <= ended.held_device_seconds
    assert sum(one.device_seconds for one in ended.outcomes) == pytest.approx(ended.held_device_seconds)
    figures = measures(ended)
    assert 0 < figures.utilisation <= 1
    assert 0 < figures.fairness <= 1
    assert figures.mean_completion <= figures.p99_completion <= figures.makespan


@pytest.mark.parametrize("name", ["fifo", "ours"])
def test_the_same_seed_has_the_same_course(name):
    first, second = (measures(simulate(few(), SMALL, ALL[name](), 1000)) for _ in range(2))
    assert first == second


def test_a_job_alone_takes_its_restart_and_its_work_and_no_more():
    (job,) = few(jobs=1)

    class Always:
        name = "always"

        def decide(self, now, live, cluster):
            return {one.job.number: ("a", ((0, 1),)) for one in live}

    (one,) = simulate([job], SMALL, Always(), 0).outcomes
    at_best = job.work / max(job.rate("a", 1, 1, done) for done in (0.0, 0.5, 0.99))
    at_worst = job.work / min(job.rate("a", 1, 1, done) for done in (0.0, 0.5, 0.99))
    spent = one.finished - one.started - job.restart_seconds
    assert at_best * 0.9 < spent < at_worst * 1.1
    assert one.started - job.submitted < ROUND_SECONDS


def test_a_scheduler_that_gives_out_what_is_not_there_is_stopped():
    class Generous:
        name = "generous"

        def decide(self, now, live, cluster):
            return {one.job.number: ("a", ((0, 5),)) for one in live}

    with pytest.raises(Overcommitted, match="5 a of node 0"):
        simulate(few(), SMALL, Generous())


def test_generated_jobs_are_heavy_tailed_and_come_in_order():
    jobs = generated(DEVELOPMENT, 400)
    assert [job.submitted for job in jobs] == sorted(job.submitted for job in jobs)
    seconds = sorted(job.work / job.rate("a", job.asked, -(-job.asked // 4)) * job.asked for job in jobs)
    assert sum(seconds[-40:]) > 0.5 * sum(seconds), "a tenth of the jobs is most of the work"


def test_the_small_teams_trace_is_read_and_keeps_its_lengths():
    jobs = recorded(TRACES[0], DEVELOPMENT)
    assert len(jobs) > 50
    assert jobs[0].submitted == 0
    assert {job.project for job in jobs} == {0, 1, 2, 3, 4}


def test_the_recorded_night_is_a_case_of_the_study_with_the_lengths_of_its_record():
    (case,) = [each for each in cases() if each.name == "trace philly_night"]
    jobs = case.jobs(DEVELOPMENT)
    assert [job.submitted for job in jobs] == sorted(job.submitted for job in jobs)
    assert (len(jobs), {job.asked for job in jobs}) == (256, {1, 2, 4, 8})
    hours = sum(job.work / job.rate("a", job.asked, -(-job.asked // 4)) * job.asked for job in jobs) / 3600
    assert 76.6 * 0.9 < hours < 76.6 * 1.1  # its GPU hours; goodput is tabled in eight levels


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("submitted,seconds\n1,2\n", "expected submitted_seconds"),
        ("submitted_seconds,run_seconds,devices,project\n0,x,1,0\n", "row 1"),
        ("submitted_seconds,run_seconds,devices,project\n0,5,0,0\n", "devices 1..64"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_its_line(tmp_path, text, wrong):
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=wrong):
        recorded(path, 0)


def test_the_philly_log_becomes_a_trace():
    def job(submitted, attempts, vc="a"):
        return {"submitted_time": submitted, "vc": vc, "attempts": attempts, "status": "Pass", "user": "u"}

    def attempt(start, end, *gpus):
        return {"start_time": start, "end_time": end, "detail": [{"ip": "m1", "gpus": list(gpus)}]}

    log = [
        job("2017-10-03 10:00:30", [attempt("2017-10-03 10:01:00", "2017-10-03 10:03:00", "gpu0", "gpu1")], "b"),
        job("2017-10-03 10:00:00", [
            attempt("2017-10-03 10:00:10", "2017-10-03 10:00:20", "gpu0"),
            attempt("2017-10-03 10:01:10", "2017-10-03 10:01:40", "gpu0"),
        ]),
        job("2017-10-03 10:00:05", [attempt("None", "None")]),
        job("2017-10-09 10:00:00", [attempt("2017-10-09 10:00:10", "2017-10-09 10:00:20", "gpu0")]),
    ]  # fmt: skip
    assert list(philly.rows(log, days=1)) == [(0.0, 40.0, 1, 1), (30.0, 120.0, 2, 0)]


def test_the_clusters_are_as_the_report_says():
    assert (cluster("equal").devices, cluster("mixed").devices, cluster("mixed").kinds) == (
        64,
        64,
        ["a", "b", "c"],
    )
