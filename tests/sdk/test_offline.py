"""Offline runs, left-over spools and `sync`, against the real server."""

import json
import os
import subprocess
import sys
import threading

import pytest

import scaleweb_sdk
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from scaleweb_sdk.spool import Spool, SpoolInUse
from scaleweb_sdk.sync import sync
from tests.support.domain import a_member, a_project, a_run, a_run_token
from tests.support.wait import until
from training.models import ApiToken, Run, TokenKind

site = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]


def batch(seq, points=3):
    return Batch(
        seq=seq, columns=[Column("loss", list(range(points)), [0.0] * points, [float(seq)] * points)]
    )


@pytest.fixture
def person(live_site):
    return ApiToken.issue(TokenKind.USER, user=a_member(a_project("default")))[1]


def offline_run(folder, steps=100):
    with scaleweb_sdk.init(
        experiment="later", config={"a": 1}, mode="offline", dir=folder, capture=False
    ) as run:
        run.tunable("lr", 0.1, low=0.0, high=1.0)
        for step in range(steps):
            run.step({"loss": float(step)})


def stored(row):
    return [int(step) for found in series.raw(row.source, ["loss"]) for step in found.steps]


class TestWithTheServer:
    pytestmark = site

    def test_a_sync_that_is_interrupted_once_its_run_was_made_goes_on_with_that_run(
        self, live_site, person, tmp_path, monkeypatch
    ):
        offline_run(tmp_path)

        def interrupted(*_, **changes):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Spool, "describe", interrupted)
            with pytest.raises(KeyboardInterrupt):
                sync(tmp_path, live_site.url, person)
        assert Run.objects.count() == 1
        results = sync(tmp_path, live_site.url, person)
        assert (results.found, results.failed) == (1, 0), results.said
        row = until(lambda: Run.objects.filter(last_step=99).first())
        assert Run.objects.count() == 1
        assert stored(row) == list(range(100))

    def test_an_offline_run_is_sent_whole_and_once(self, live_site, person, tmp_path):
        offline_run(tmp_path)
        kept = [path.read_bytes() for path in sorted(tmp_path.glob("*/*.batches"))]
        assert kept
        results = sync(tmp_path, live_site.url, person)
        assert (results.found, results.failed) == (1, 0), results.said
        row = until(lambda: Run.objects.filter(last_step=99).first())
        assert (row.experiment.name, row.config, row.state, row.last_step) == (
            "later",
            {"a": 1},
            "finished",
            99,
        )
        assert stored(row) == list(range(100))
        assert row.tunables.get().name == "lr"
        assert not list(tmp_path.iterdir())
        assert sync(tmp_path, live_site.url, person).found == 0

    def test_a_sync_that_was_cut_short_goes_on_where_it_was(self, live_site, person, tmp_path):
        offline_run(tmp_path)
        folder = next(tmp_path.iterdir())
        about = json.loads((folder / "about.json").read_text())
        row = a_run(a_project("default"))
        spool = Spool(folder)
        first = next(spool.after(0))
        spool.describe(source=row.source, token=a_run_token(row), url=live_site.url)
        spool.close()
        series.append(row.source, about["session"], [first])
        assert sync(tmp_path, live_site.url, person).failed == 0
        assert stored(row) == list(range(100))
        assert Run.objects.count() == 1

    def test_a_refused_token_keeps_the_spool_and_says_so(self, live_site, person, tmp_path):
        offline_run(tmp_path)
        row = a_run()
        spool = Spool(next(tmp_path.iterdir()))
        spool.describe(source=row.source, token="sw_run_wrong", url=live_site.url)
        spool.close()
        results = sync(tmp_path, live_site.url, person)
        assert results.failed == 1
        assert "token" in results.said[0]
        assert list(tmp_path.glob("*/*.batches"))

    def test_two_syncs_at_once_send_it_once_to_one_run(self, live_site, person, tmp_path):
        offline_run(tmp_path)
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(sync(tmp_path, live_site.url, person)))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(each.found - each.failed for each in results) == 1, [each.said for each in results]
        said = " ".join(line for each in results for line in each.said if "sent" not in line)
        assert "Traceback" not in said
        assert stored(Run.objects.get()) == list(range(100))

    def test_a_process_that_was_killed_leaves_its_points_to_sync(self, live_site, person, tmp_path):
        row = a_run()
        script = (
            "import os, sys, time, scaleweb_sdk\n"
            "run = scaleweb_sdk.init(url='http://127.0.0.1:9', token=sys.argv[1], dir=sys.argv[2], capture=False)\n"
            "for step in range(200): run.step({'loss': float(step)})\n"
            "run.link.flush()\n"
            "while run.link.seq == 0 or run.link.outbox.pending: time.sleep(0.01)\n"
            "os.kill(os.getpid(), 9)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, a_run_token(row), str(tmp_path)],
            env=os.environ | {"SCALEWEB_RUN": row.code}, timeout=60,
        )  # fmt: skip
        assert done.returncode == -9
        spool = Spool(next(tmp_path.iterdir()))
        spool.describe(url=live_site.url)
        spool.close()
        assert sync(tmp_path, live_site.url, person).failed == 0
        assert stored(row)[:100] == list(range(100))


def test_without_a_server_sync_says_so_at_once_and_keeps_everything(tmp_path):
    offline_run(tmp_path)
    results = sync(tmp_path, "http://127.0.0.1:9", "sw_user_x")
    assert results.failed == 1
    assert "refused" in results.said[0].lower()
    assert list(tmp_path.glob("*/*.batches"))


def test_without_an_address_sync_says_what_to_do(tmp_path):
    offline_run(tmp_path)
    assert "scaleweb login" in sync(tmp_path, "", "").said[0]


@pytest.mark.parametrize(("mode", "told"), [("", True), ("online", True), ("offline", False)])
def test_a_script_that_nobody_logged_in_says_where_its_run_is_kept(tmp_path, monkeypatch, caplog, mode, told):
    for name in ("SCALEWEB_URL", "SCALEWEB_TOKEN", "SCALEWEB_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    scaleweb_sdk.init(mode=mode, dir=tmp_path / "kept", capture=False).finish()
    said = f"kept in {tmp_path / 'kept'}. `scaleweb login` stores them, and `scaleweb sync` sends it then"
    assert (said in caplog.text) == told


def test_a_spool_of_which_nobody_knows_whose_it_is_is_kept(tmp_path):
    offline_run(tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "about.json").write_text('{"session": "ab')
    assert "about.json cannot be read" in sync(tmp_path, "http://127.0.0.1:9", "x").said[0]
    assert list(folder.glob("*.batches"))


def test_a_spool_in_use_is_left_alone(tmp_path):
    spool = Spool(tmp_path / "s", {"session": "s"})
    spool.append(batch(1))
    with pytest.raises(SpoolInUse):
        Spool(tmp_path / "s")
    assert "another process has it" in sync(tmp_path, "http://127.0.0.1:9", "x").said[0]
    spool.close()
    assert Spool(tmp_path / "s").last_seq == 1


def test_a_torn_tail_is_cut_off_and_the_rest_is_whole(tmp_path):
    spool = Spool(tmp_path / "s", {"session": "s"})
    for seq in (1, 2, 3):
        spool.append(batch(seq))
    spool.close()
    (segment,) = (tmp_path / "s").glob("*.batches")
    whole = segment.read_bytes()
    for cut in (1, 10, 30):
        segment.write_bytes(whole[:-cut])
        again = Spool(tmp_path / "s")
        assert [found.seq for found in again.after(0)] == [1, 2]
        again.append(batch(3))
        assert [found.seq for found in again.after(1)] == [2, 3]
        again.close()
    segment.write_bytes(whole[:-5] + bytes([whole[-5] ^ 255]) + whole[-4:])
    damaged = Spool(tmp_path / "s")
    assert [found.seq for found in damaged.after(0)] == [1, 2]
