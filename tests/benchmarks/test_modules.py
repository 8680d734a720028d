"""Every benchmark is run by `make bench` and named in the docs, and every peer is pinned."""

import ast
import re
from pathlib import Path

import benchmarks.__main__ as bench
from benchmarks.peers import environments
from benchmarks.peers.results import Results, Turn

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "benchmarks"
PEERS = FOLDER / "peers"


def has_main(path: Path) -> bool:
    return any(
        isinstance(part, ast.FunctionDef) and part.name == "main" for part in ast.parse(path.read_text()).body
    )


def test_make_bench_runs_every_benchmark():
    found = {path.stem for path in FOLDER.glob("*.py") if has_main(path)} - {"__main__"}
    assert set(bench.MODULES) == found


def test_the_docs_name_the_command_of_every_benchmark():
    told = (TOP / "docs" / "benchmarks.md").read_text()
    assert set(re.findall(r"python -m benchmarks\.([a-z]\w+)", told)) - {"peers", "control"} == set(
        bench.MODULES
    )


def test_every_peer_has_a_driver_an_exact_version_and_a_place_in_the_docs():
    told = (TOP / "docs" / "benchmarks.md").read_text()
    for peer, pin in environments.PINS.items():
        assert re.fullmatch(rf"{peer}==\d+\.\d+\.\d+", pin)
        assert (PEERS / f"{peer}.py").exists()
        assert pin.replace("==", " ") in told


def test_what_runs_in_a_peers_environment_needs_nothing_of_ours():
    """Neither is installed there: only the standard library, the tool itself, and its own neighbours."""
    for name in ("driver", "work", *environments.PINS):
        tree = ast.parse((PEERS / f"{name}.py").read_text())
        imported = {
            each.module or "" if isinstance(each, ast.ImportFrom) else each.names[0].name
            for each in ast.walk(tree)
            if isinstance(each, ast.Import | ast.ImportFrom)
        }
        ours = ("scaleweb", "scaleweb_sdk", "training", "monitoring", "control", "django", "psutil", "httpx")
        for module in imported:
            assert module.partition(".")[0] not in ours, f"{name}.py imports {module}"
            assert not module.startswith("benchmarks") or module.startswith("benchmarks.peers.driver")


def test_a_measurement_of_the_peers_is_carried_on_where_it_was_broken_off(tmp_path):
    path = tmp_path / "peers.jsonl"
    first, second = Turn("ours", "light", 0, 1), Turn("aim", "light", 0, 1)
    told = [{"figure": "start", "value": 1.5}]
    Results.begun_anew(path).add(first, told, "")
    with open(path, "a") as file:
        file.write('{"turn": {"tool": "aim"')  # the process ended here
    results = Results.carried_on(path)
    assert results.told == {first: told}
    results.add(second, [], "not done after 400 s")
    assert Results.carried_on(path).told == {first: told, second: []}
    assert Results.begun_anew(path).told == {}
    assert Results.carried_on(path.with_suffix(".before.jsonl")).told == {first: told, second: []}
