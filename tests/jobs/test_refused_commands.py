"""What cannot be run fails in words, and is not tried again."""

import pytest

from tests.jobs.scripts import lines_of
from tests.support.wait import until

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]


def test_a_command_that_does_not_exist_fails_in_words_and_is_not_tried_again(bench):
    job = bench.until_over(bench.job(["no-such-program", "--x"], max_retries=3))
    attempt = bench.attempt(job)
    assert (job.state, job.run.state, attempt.number, attempt.exit_code) == ("failed", "failed", 1, 127)
    assert attempt.first_error_line == (
        "the command 'no-such-program' was not found on node bench: no folder of its PATH has such a program; "
        "install it there, or name it by its path"
    )
    said = job.run.events.filter(reason=attempt.first_error_line).values_list("kind", flat=True)
    assert set(said) == {"attempt", "state"}, "the history says so too, not a number alone"
    until(lambda: attempt.first_error_line in lines_of(job))


def test_a_file_that_is_not_in_the_jobs_folder_is_named_with_it_and_torchruns_program_as_well(bench):
    jobs = [
        bench.job(["./train.sh"], max_retries=3),
        bench.job(["./train.sh"], launcher="torchrun", min_devices=2, max_devices=2, max_retries=3),
    ]
    for job in [bench.until_over(each) for each in jobs]:
        attempt = bench.attempt(job)
        assert (job.state, attempt.number, attempt.exit_code) == ("failed", 1, 127)
        folder = str(bench.local(attempt).folder / "work")
        assert attempt.first_error_line == (
            "the command './train.sh' was not found on node bench: there is no such file in the job's folder "
            f"{folder!r}; name one that is there, or send it along (--send)"
        )


@pytest.mark.parametrize(
    ("cwd", "why"), [("/proc/nowhere", "No such file or directory"), ("/etc/passwd", "Not a directory")]
)
def test_a_folder_that_cannot_be_entered_is_named(bench, cwd, why):
    job = bench.until_over(bench.job(["true"], cwd=cwd, max_retries=3))
    attempt = bench.attempt(job)
    assert (job.state, attempt.number) == ("failed", 1)
    assert attempt.first_error_line.startswith(
        f"the job's folder {cwd!r} cannot be entered on node bench: {why}; make it there, name one"
    )


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("#!/bin/sh\n", 0o644, "Permission denied; make it executable (chmod +x)"),
        (
            "#!/no/such/interpreter\n",
            0o755,
            "the interpreter that its first line names is not there; install it, or name one that is there",
        ),
        ("\x7fELF of another machine", 0o755, "Exec format error"),
    ],
)
def test_a_program_that_cannot_be_executed_fails_in_words(bench, tmp_path, text, mode, why):
    script = tmp_path / "train.sh"
    script.write_text(text)
    script.chmod(mode)
    job = bench.until_over(bench.job([str(script)], max_retries=3))
    attempt = bench.attempt(job)
    assert (job.state, attempt.number) == ("failed", 1)
    assert attempt.first_error_line == f"'{script}' cannot be started on node bench: {why}"


def test_an_argument_that_no_program_can_be_given_fails_in_words(bench):
    job = bench.until_over(bench.job(["true", "\ud800"], max_retries=3))
    attempt = bench.attempt(job)
    assert (job.state, attempt.number) == ("failed", 1)
    assert attempt.first_error_line.startswith("'true' cannot be started on node bench: ")
