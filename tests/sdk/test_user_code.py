"""Whatever a script, its loaders, its signals and its end do: the SDK neither stops a training nor holds it up."""

import json
import math
import os
import subprocess
import sys
import textwrap
import threading
from argparse import Namespace
from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction

import numpy as np
import pytest
import torch

import scaleweb_sdk
from scaleweb_sdk.run import Run
from scaleweb_sdk.spool import Spool
from scaleweb_sdk.thinning import numbers, packed


def read(folder):
    """({key: [(step, value)…]}, events, lines) of the one run kept in `folder`."""
    (place,) = folder.iterdir()
    points: dict = {}
    events, lines = [], []
    for batch in Spool(place).after(0):
        for column in packed(batch):
            pairs = zip(numbers("q", column.steps), numbers("d", column.values), strict=True)
            points.setdefault(column.key, []).extend(pairs)
        events += batch.events
        lines += [(line.stream, line.text) for line in batch.lines]
    return points, events, lines


def offline(folder, **fields):
    return scaleweb_sdk.init(mode="offline", dir=folder, **{"capture": False, **fields})


def script(folder, text, **options):
    """Run a script of its own process that keeps its run in `folder`; what came of it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCALEWEB_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=100,
        env=environment | {"SCALEWEB_MODE": "offline", "SCALEWEB_SPOOL_DIR": str(folder)}, **options,
    )  # fmt: skip


# -- values -----------------------------------------------------------------------------------------


class Colour(IntEnum):
    RED = 3


class Key(StrEnum):
    LOSS = "loss"


class Raising:
    """Raises whatever is asked of it."""

    def __init__(self, error):
        self.error = error

    def __float__(self):
        raise self.error

    def __repr__(self):
        raise self.error


class Proxy:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)  # pytest looks at it, too
        raise KeyError(name)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Decimal("0.5"), 0.5), (Fraction(1, 4), 0.25), (np.float64(2.5), 2.5), (np.int64(3), 3.0),
        (np.bool_(True), 1.0), (np.array([7.0]), 7.0), (Colour.RED, 3.0), (True, 1.0), (-(10**400), -math.inf),
        (torch.tensor(1.5), 1.5), (torch.tensor([[2.0]]), 2.0), (torch.tensor(3, dtype=torch.int8), 3.0),
        (torch.tensor(1.5, dtype=torch.bfloat16), 1.5), (torch.tensor(0.5, requires_grad=True) * 2, 1.0),
        (torch.tensor(True), 1.0), (torch.tensor(math.nan), math.nan),
    ],
)  # fmt: skip
def test_a_number_of_any_library_is_a_number(tmp_path, value, kept):
    run = offline(tmp_path)
    run.log({"x": value}, step=1)
    run.finish()
    ((step, found),) = read(tmp_path)[0]["x"]
    assert step == 1
    assert found == kept or (math.isnan(found) and math.isnan(kept))


@pytest.mark.parametrize(
    "value",
    [
        None, "0.5", b"1", 1j, np.complex64(1), [1.0], np.zeros(3), torch.zeros(3), torch.empty(0), object(), Proxy(),
        torch.empty(1, device="meta"), torch.tensor(1j), Raising(ZeroDivisionError("x")), Raising(KeyError("x")),
    ],
)  # fmt: skip
def test_what_is_no_number_costs_itself_alone(tmp_path, value, caplog):
    run = offline(tmp_path)
    for step in range(3):
        run.log({"bad": value, "nested": {"bad": value, "good": 2.0}, "good": 1.0}, step=step)
    run.finish()
    points, events, _ = read(tmp_path)
    assert points["good"] == [(0, 1.0), (1, 1.0), (2, 1.0)]
    assert points["nested/good"] == [(0, 2.0), (1, 2.0), (2, 2.0)]
    assert "bad" not in points
    assert [event.kind for event in events] == ["note", "finish"]
    assert "was not logged" in events[0].data["message"]


def test_what_changes_after_the_call_is_kept_as_it_was(tmp_path):
    run = offline(tmp_path)
    loss, nested, step = torch.tensor(1.0), {"a": 1.0}, torch.tensor(5)
    run.log({"loss": loss, "n": nested}, step=step)
    loss += 1
    nested["a"] = 2.0
    nested["b"] = 3.0
    step += 1
    run.finish()
    assert read(tmp_path)[0] == {"loss": [(5, 1.0)], "n/a": [(5, 1.0)]}


@pytest.mark.parametrize("step", [7, np.int64(7), torch.tensor(7), 7.0, np.float32(7)])
def test_a_step_of_any_library_is_a_step(tmp_path, step):
    run = offline(tmp_path)
    run.step({"loss": 1.0}, step=step)
    assert run.current_step == 7
    run.finish()
    assert read(tmp_path)[0]["loss"] == [(7, 1.0)]


def test_maps_and_keys_of_every_kind(tmp_path):
    run = offline(tmp_path)
    run.log(OrderedDict({Key.LOSS: 1.0, "family 👨‍👩‍👧": 2.0, "tab\t": 3.0, "half \ud800": 4.0}), step=0)
    for wrong in (None, 5, [("loss", 1.0)], "loss", Raising(ValueError("x"))):
        run.log(wrong, step=1)
    run.finish()
    assert read(tmp_path)[0].keys() == {"loss", "family 👨‍👩‍👧"}


def test_a_hundred_thousand_keys_leave_those_that_fit(tmp_path):
    run = offline(tmp_path)
    for start in range(0, 100_000, 1000):
        run.log({f"key {number}": 1.0 for number in range(start, start + 1000)} | {"loss": 1.0}, step=start)
    run.finish()
    points, events, _ = read(tmp_path)
    assert len(points["loss"]) == 100
    assert 10_000 < len(points) < 20_000
    assert any("different keys" in event.data.get("message", "") for event in events)


def test_threads_may_log_at_once(tmp_path):
    run = offline(tmp_path)

    def work(number):
        for step in range(2000):
            run.log({f"worker {number}": float(step)}, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    points = read(tmp_path)[0]
    for number in range(4):
        assert points[f"worker {number}"] == [(step, float(step)) for step in range(2000)]


def test_a_flood_is_cut_into_frames_that_the_server_takes(tmp_path):
    run = offline(tmp_path, config={"big": ["x" * 9000] * 500})
    for step in range(150_000):
        run.log({"loss": 1.0, "other": 2.0}, step=step)
    run.finish()
    (folder,) = tmp_path.iterdir()
    sizes = [len(body) for _, body in Spool(folder).bodies_after(0)]
    assert max(sizes) < 2 * 2**20
    points, events, _ = read(tmp_path)
    assert len(points["loss"]) == 150_000
    assert any("was left out" in event.data.get("message", "") for event in events)


def test_memory_is_bounded_when_the_links_thread_gets_no_turn(monkeypatch, tmp_path):
    monkeypatch.setattr("scaleweb_sdk.gathering.MOST_RECORDS", 5_000)
    monkeypatch.setattr("scaleweb_sdk.run.CROWDED", 1_000)
    run = offline(tmp_path)
    turn = threading.Event()
    monkeypatch.setattr(run.link, "fill", lambda: turn.wait(20) and run.fill())
    run.link.flush()
    for step in range(50_000):
        run.log({"loss": float(step)}, step=step)
        assert len(run._records) <= 5_001
    turn.set()
    run.finish()
    points, events, _ = read(tmp_path)
    assert points["loss"][-1] == (49_999, 49_999.0)
    assert any("faster than" in event.data.get("message", "") for event in events)


# -- configuration and settings ---------------------------------------------------------------------


@dataclass
class Settings:
    lr: float = 0.1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (Namespace(lr=0.1), {"lr": 0.1}), (Settings(), {"lr": 0.1}), ({"n": 2**70}, {"n": "1.18059e+21"}),
        ({"name": "\udcff.txt"}, {"name": "?.txt"}), ({"text": "x" * 20_000}, {"text": "x" * 10_000}),
        ({"odd": Raising(ValueError("x"))}, {"odd": "<Raising: ValueError>"}), ({"c": Colour.RED}, {"c": 3}),
        ({"huge": 10**5000}, {"huge": "huge"}),
    ],
)  # fmt: skip
def test_a_configuration_of_any_kind_is_kept(tmp_path, given, kept):
    offline(tmp_path, config=given).finish()
    (event,) = (event for event in read(tmp_path)[1] if event.kind == "config")
    assert event.data["config"] == kept


def test_a_configuration_that_is_none_is_said(tmp_path, caplog):
    offline(tmp_path, config="lr=1").finish()
    assert "was not kept" in caplog.text


def test_the_configuration_tells_of_each_change_and_loads_as_a_plain_map(tmp_path):
    run = offline(tmp_path, config={"a": 1})
    run.config |= {"b": 2}
    assert run.config.setdefault("c", 3) == 3
    torch.save({"config": run.config}, tmp_path / "x.pt")
    assert torch.load(tmp_path / "x.pt", weights_only=True)["config"] == {"a": 1, "b": 2, "c": 3}
    (tmp_path / "x.pt").unlink()
    run.finish()
    told = {}
    for event in read(tmp_path)[1]:
        told |= event.data.get("config", {})
    assert told == {"a": 1, "b": 2, "c": 3}


def test_a_tunable_declared_again_keeps_what_was_set(tmp_path):
    run = offline(tmp_path)
    lr = run.tunable("lr", 0.1, low=0.0, high=1.0)
    lr.value = 0.5
    assert run.tunable("lr", 0.1, low=0.0, high=1.0) is lr
    assert float(run.tunable("lr", 0.2, low=0.0, high=1.0)) == 0.2, "another declaration is another tunable"
    assert float(run.tunable("wd", np.float32(0.25), low=np.int64(0), high=1)) == 0.25
    with pytest.raises(ValueError, match="neither text, number nor bool"):
        run.tunable("dtype", torch.float16, choices=[torch.float16])
    with pytest.raises(ValueError, match="is not a number"):
        run.tunable("x", 0.1, low="0")
    run.finish()


@pytest.mark.parametrize("result", [Raising(ValueError("x")), "\ud800", 10**400, [object()] * 3, {1: {2: 3}}])
def test_an_action_may_return_anything(tmp_path, result):
    run = offline(tmp_path)
    run.action("look")(lambda: result)
    run.receive([scaleweb_sdk.protocol.Order(1, "action", "look")])
    run.step()
    run.finish()
    (event,) = (event for event in read(tmp_path)[1] if event.kind == "command")
    assert event.data["ok"]


def test_what_an_action_raises_is_the_answer_and_training_goes_on(tmp_path):
    run = offline(tmp_path)
    for name, error in (("a", ZeroDivisionError("no")), ("b", Raising), ("c", KeyError())):

        def act(error=error):
            raise error if isinstance(error, Exception) else ExceptionGroup("both", [ValueError("x")])

        run.action(name)(act)
    run.receive([scaleweb_sdk.protocol.Order(seq + 1, "action", name) for seq, name in enumerate("abc")])
    run.step({"loss": 1.0})
    run.finish()
    answers = [event.data for event in read(tmp_path)[1] if event.kind == "command"]
    assert [answer["ok"] for answer in answers] == [False] * 3
    assert answers[0]["message"] == "no"
    assert answers[2]["message"] == "KeyError"


# -- beginning and end ------------------------------------------------------------------------------


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


# -- other processes --------------------------------------------------------------------------------


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_loader_workers_may_hold_the_run_and_its_settings(tmp_path, context):
    (tmp_path / "data.py").write_text(
        textwrap.dedent(
            """
            import torch

            class Data(torch.utils.data.Dataset):
                def __init__(self, run, noise):
                    self.run, self.noise = run, noise
                def __len__(self):
                    return 64
                def __getitem__(self, index):
                    self.run.log({"from a worker": 1.0}); print("in a worker")
                    assert not self.run._records or self.run.link
                    return torch.tensor(float(self.noise))
            """
        )
    )
    done = script(
        tmp_path / "spool",
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import torch, scaleweb_sdk
        from data import Data
        if __name__ == "__main__":
            run = scaleweb_sdk.init()
            data = Data(run, run.tunable("noise", 0.5, low=0.0, high=1.0))
            loader = torch.utils.data.DataLoader(data, num_workers=1, multiprocessing_context={context!r}, batch_size=8)
            for epoch in range(2):
                for batch in loader:
                    assert batch.mean() == 0.5
                    run.step({{"loss": 1.0}})
            run.finish()
        """,
    )
    assert done.returncode == 0, done.stderr
    points, events, lines = read(tmp_path / "spool")
    assert points["loss"] == [(step, 1.0) for step in range(16)]
    assert "from a worker" not in points
    assert events[-1].kind == "finish"
    assert not [text for _, text in lines if "in a worker" in text]


def test_a_forked_child_that_outlives_the_training_does_not_hold_its_spool(tmp_path):
    done = script(
        tmp_path,
        """
        import os, sys, time, scaleweb_sdk
        run = scaleweb_sdk.init()
        for _ in range(2000): run.step({"loss": 1.0})
        child = os.fork()
        if not child:
            run.finish(); run.log({"loss": 2.0}); sys.stdout.close(); sys.stderr.close(); os.close(1); os.close(2)
            time.sleep(20); os._exit(0)
        run.finish(); print(child, flush=True)
        """,
    )
    child = int(done.stdout.split()[-1])
    try:
        points, events, _ = read(tmp_path)  # would be refused as in use
        assert len(points["loss"]) == 2000
        assert [event.kind for event in events] == ["finish"]
    finally:
        os.kill(child, 9)


# -- output -----------------------------------------------------------------------------------------


def test_what_is_printed_is_kept_as_a_person_saw_it(tmp_path):
    done = script(
        tmp_path,
        r"""
        import sys, scaleweb_sdk
        run = scaleweb_sdk.init()
        print("plain"); print("two\nlines"); sys.stdout.writelines(["by ", "parts\n"])
        sys.stderr.write("10 %\r50 %\r100 %\n"); sys.stderr.write("20 %\r"); sys.stderr.write("30 %\r\n")
        sys.stdout.flush(); sys.stdout.buffer.write("bytes ü\n".encode()); sys.stdout.buffer.flush()
        print("odd \udcff", file=sys.stderr); print("x" * 3_000_000); print("", end="")
        for _ in range(5000): sys.stdout.write("long ")
        print(); print(sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.fileno(), sys.stdout.name)
        print("no end", end="")
        run.finish(); print("afterwards")
        """,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    lines = read(tmp_path)[2]
    out = [text for stream, text in lines if stream == "stdout"]
    assert out[:5] == ["plain", "two", "lines", "by parts", "bytes ü"]
    assert out[5].startswith("xxx")
    long = next(text for text in out if text.startswith("long "))
    assert len(long) == 10_000
    assert "False utf-8 1 <stdout>" in out
    assert out[-1] == "no end"
    assert [text for stream, text in lines if stream == "stderr"] == ["100 %", "30 %", "odd ?"]
    assert done.stdout.endswith("no endafterwards\n")
    assert "x" * 3_000_000 in done.stdout


def test_the_traceback_of_what_ended_the_script_is_among_its_lines(tmp_path):
    script(tmp_path, "import scaleweb_sdk\nrun = scaleweb_sdk.init()\n1 / 0")
    lines = read(tmp_path)[2]
    assert ("stderr", "ZeroDivisionError: division by zero") in lines


def test_the_address_of_the_run_is_not_printed_among_the_scripts_own_output(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("scaleweb_sdk.start.request", lambda *_: {"code": "abc", "token": "sw_run_x"})
    run = scaleweb_sdk.init(url="http://127.0.0.1:9", token="sw_user_x", dir=tmp_path, capture=False)
    for _ in range(200):
        if run.address:
            break
        threading.Event().wait(0.05)
    run.finish(timeout=0.2)
    said = capfd.readouterr()
    assert said.out == ""
    assert run.address == "http://127.0.0.1:9/runs/abc"
    assert json.loads((next(tmp_path.iterdir()) / "about.json").read_text())["token"] == "sw_run_x"


def test_facts_about_a_setting_are_reported_when_they_are_news():
    run = Run()
    size = run.tunable("batch_size", 64, about={"ranks": 2})
    size.tell(failed=128)
    size.tell(failed=128)
    size.tell(failed=None)
    told = [event.data["about"] for _, event in run._events if event.kind == "tunable"]
    assert told == [{"ranks": 2}, {"ranks": 2, "failed": 128}, {"ranks": 2}]
    assert run.tunable("batch_size", 64, about={"ranks": 2}) is size


def test_a_further_ranks_step_time_shares_a_call_with_what_it_logs():
    run = Run("", rank=1, world_size=2)
    for number in range(3):
        run.step({"loss": float(number)})
    run.step()
    logged = [(step, [key for key, _ in items]) for _, (step, _, items) in run._records]
    time = "_step_seconds/rank1"
    assert logged == [(0, ["loss"]), (1, ["loss", time]), (2, ["loss", time]), (3, [time])]
