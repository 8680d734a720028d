"""What a script prints, as its run keeps it."""

import json
import threading

import scaleweb_sdk
from tests.sdk.kept import read, script


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
