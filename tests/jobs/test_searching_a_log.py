"""What a job printed is found again, a progress bar in one line, by REST and by the command line."""

import pytest
from rest_framework.test import APIClient

from scaleweb_sdk.cli import main
from tests.support.domain import a_member, a_project
from training.models import ApiToken, TokenKind

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]
TRAINING = """
    import sys
    print("loading the Data", flush=True)
    for epoch in range(1, 4):
        for share in range(0, 101, 20):
            sys.stdout.write(f"\\repoch {epoch}: {share:3d} % loss=0.{9 - epoch}")
            sys.stdout.flush()
        print()
    sys.stderr.write("WARNING: the loader is slow\\n")
    print("\\x1b[32mdo\\x1b[0mne with the data", flush=True)
"""


@pytest.fixture
def say(live_site, monkeypatch, capsys, bench):
    user = a_member(a_project())
    monkeypatch.setenv("SCALEWEB_URL", live_site.url)
    monkeypatch.setenv("SCALEWEB_TOKEN", ApiToken.issue(TokenKind.USER, user=user)[1])
    bench.client = APIClient()
    bench.client.force_login(user)

    def run(*words):
        capsys.readouterr()
        code = main([*words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_log_of_a_job_is_searched_by_rest_and_by_the_command_line(bench, say):
    job = bench.python(TRAINING)
    assert bench.until_over(job).state == "done"
    address = f"/api/v1/runs/{job.run.code}/logs"

    def printed():
        return [line[2] for line in bench.client.get(address, {"count": 100}).json()["lines"]]

    bench.until(lambda: len(printed()) == 6)

    def found(**wanted):
        return [
            (stream, text)
            for _, _, stream, text in bench.client.get(f"{address}/hits", wanted).json()["hits"]
        ]

    # Of a bar that was drawn over and over the last state is a line; those before it are not kept.
    bars = [f"epoch {epoch}: 100 % loss=0.{9 - epoch}" for epoch in (1, 2, 3)]
    assert found(search="epoch") == [("stdout", bar) for bar in bars]
    assert found(search="40 %") == []
    assert [text for _, text in found(search="data")] == [
        "loading the Data",
        "\x1b[32mdo\x1b[0mne with the data",
    ]
    assert len(found(search="done")) == 1, "a colour within a word hides nothing"
    assert found(level="warning") == [("stderr", "WARNING: the loader is slow")]

    numbers = {text: number for number, text in enumerate(printed(), start=1)}
    lines = "".join(f"{numbers[bar]}: {bar}\n" for bar in bars)
    assert say("logs", job.code, "--grep", "EPOCH") == (0, lines, "")
    assert say("logs", job.run.code, "--grep", "epoch", "-n", "1")[1] == lines.splitlines(True)[-1]
    assert say("logs", job.code, "--level", "warning")[2].endswith(": WARNING: the loader is slow\n")
    code, said, wrong = say("logs", job.code, "--grep", "40 %")
    assert (code, said) == (1, "")
    assert wrong == f"scaleweb: of the 6 lines of run {job.run.code} none has '40 %'\n"
    assert "leave it out to search" in say("logs", job.code, "--grep", "x", "--follow")[2]
