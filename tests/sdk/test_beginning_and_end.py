"""How a script may begin and end: in strange surroundings, twice, by a signal, in the middle of anything."""

import pytest

import scaleweb_sdk
from tests.sdk.kept import offline, read, script


def test_a_folder_that_cannot_be_written_is_replaced_and_training_goes_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "file").touch()
    with offline(tmp_path / "file" / "spool") as run:
        run.step({"loss": 1.0})
    assert list((tmp_path / "temporary").glob("*/*/*.batches"))
    (tmp_path / "other").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "other"))
    with offline(tmp_path / "file" / "spool") as run:
        run.step({"loss": 1.0})
    assert "not recorded; training goes on" in caplog.text


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "http://", "http://no such host", "http://[", "ftp://x", "http://127.0.0.1:99999"],
)
def test_an_address_that_is_none_does_not_end_the_link(tmp_path, url):
    run = scaleweb_sdk.init(url=url, token="sw_user_x", dir=tmp_path, capture=False)
    run.link.token = "sw_run_x"  # as if the run had been made
    run.link.flush()
    for step in range(10):
        run.step({"loss": float(step)})
    run.finish(timeout=0.3)
    assert len(read(tmp_path)[0]["loss"]) == 10


def test_init_in_strange_surroundings(tmp_path):
    done = script(
        tmp_path / "spool",
        f"""
        import os, tempfile, scaleweb_sdk
        gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)
        os.environ["SCALEWEB_ATTEMPT"] = "first"
        os.environ["XDG_CONFIG_HOME"] = {str(tmp_path)!r}
        import sys; sys.argv = ["\\udcff"]; sys.stdout = None
        with scaleweb_sdk.init() as run:
            run.step({{"loss": 1.0}}); print("to nowhere")
        """,
    )
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "spool")[0]["loss"] == [(0, 1.0)]


def test_to_finish_twice_and_to_log_after_it_is_harmless_and_said_once(tmp_path, caplog):
    run = offline(tmp_path)
    run.step({"loss": 1.0})
    run.finish()
    run.finish("failed")
    for _ in range(1000):
        run.log({"loss": 2.0})
        run.note("late")
    assert len([r for r in caplog.records if "is not recorded" in r.message]) == 1
    assert len(run._records) == len(run._events) == 0
    points, events, _ = read(tmp_path)
    assert points["loss"] == [(0, 1.0)]
    assert [event.data["state"] for event in events] == ["finished"]


def test_two_runs_of_one_process_are_two_runs(tmp_path):
    first, second = offline(tmp_path / "a"), offline(tmp_path / "b")
    first.step({"loss": 1.0})
    second.step({"loss": 2.0})
    first.finish()
    second.step({"loss": 3.0})
    second.finish()
    assert read(tmp_path / "a")[0]["loss"] == [(0, 1.0)]
    assert read(tmp_path / "b")[0]["loss"] == [(0, 2.0), (1, 3.0)]


def test_in_a_job_a_second_init_is_the_same_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("SCALEWEB_RUN", "abc")
    first = offline(tmp_path)
    second = offline(tmp_path, config={"late": 1})
    assert second is first
    assert "under way already" in caplog.text
    first.finish()
    third = offline(tmp_path / "again")
    assert third is not first
    third.finish()


@pytest.mark.parametrize(
    ("ending", "code", "state", "reason"),
    [
        ("pass", 0, "finished", ""),
        ("raise ValueError('too hot')", 1, "failed", "ValueError: too hot"),
        ("raise KeyboardInterrupt", -2, "stopped", "interrupted from the keyboard"),
        ("sys.exit(0)", 0, "finished", ""),
        ("os.kill(os.getpid(), 15); [run.step() for _ in range(3) if not run.should_stop]", 0, "stopped", "SIGTERM"),
        ("threading.Thread(target=lambda: [run.step({'late': 1.0}) for _ in range(9)]).start()", 0, "finished", ""),
    ],
)  # fmt: skip
def test_the_end_of_the_script_is_the_end_of_the_run(tmp_path, ending, code, state, reason):
    done = script(
        tmp_path,
        f"""
        import os, sys, threading, scaleweb_sdk
        run = scaleweb_sdk.init()
        run.step({{"loss": 1.0}})
        {ending}
        """,
    )
    assert done.returncode == code, done.stderr
    points, events, _ = read(tmp_path)
    assert points["loss"] == [(0, 1.0)]
    assert (events[-1].kind, events[-1].data["state"], events[-1].data["reason"]) == ("finish", state, reason)


def test_a_process_that_just_goes_leaves_what_was_flushed(tmp_path):
    done = script(
        tmp_path,
        """
        import os, time, scaleweb_sdk
        run = scaleweb_sdk.init()
        run.step({"loss": 1.0}); run.link.flush()
        while not run.link.seq: time.sleep(0.01)
        os._exit(3)
        """,
    )
    assert done.returncode == 3
    assert read(tmp_path)[0]["loss"] == [(0, 1.0)]


def test_a_signal_in_the_middle_of_anything_does_not_lock_up(tmp_path):
    """A handler that takes a lock which its own thread holds would wait for ever."""
    done = script(
        tmp_path,
        """
        import signal, scaleweb_sdk
        run = scaleweb_sdk.init()
        seen = 0
        def ring(*_):
            global seen
            seen += 1
            run.note("in a handler"); run.desk._arrived.put(None); run.log({"x": 1.0})
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while seen < 500:
            run.note("outside"); run.step({"loss": 1.0})
        signal.setitimer(signal.ITIMER_REAL, 0)
        run.finish(); print("through", seen >= 500)
        """,
    )
    assert "through True" in done.stdout, done.stderr
