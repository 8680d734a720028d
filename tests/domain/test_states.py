"""Run states: the table of legal moves, each tried against the database, and its one writer."""

import ast
from itertools import product
from pathlib import Path

import pytest

from tests.support.domain import a_run
from training.models import Run, RunEvent
from training.states import ENDED, LIVE, MOVES, IllegalMove, RunState, move

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]
TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_broker(monkeypatch):
    monkeypatch.setattr("monitoring.live.publish.send", lambda channel, message: None)


def test_every_state_has_its_row_and_is_live_ended_or_queued():
    assert set(MOVES) == set(RunState)
    assert LIVE | ENDED | {RunState.QUEUED} == set(RunState)
    assert not LIVE & ENDED


def test_a_move_is_made_exactly_where_the_table_has_it():
    for old, new in product(RunState, RunState):
        run = a_run(state=old)
        if old == new:
            assert move(run, new)
            assert not run.events.exists()
        elif new in MOVES[old]:
            assert move(run, new, "why", actor="ada", step=3)
            event = run.events.get()
            assert (event.kind, event.old, event.new, event.reason, event.actor, event.step) == (
                "state", old, new, "why", "ada", 3,
            )  # fmt: skip
            assert (run.ended_at is not None) == (new in ENDED)
        else:
            with pytest.raises(IllegalMove, match=f"{old} cannot become {new}"):
                move(run, new)
            assert Run.objects.get(pk=run.pk).state == old


def test_a_race_is_won_once_and_the_loser_sees_who_won():
    run = a_run(state="running")
    late = Run.objects.get(pk=run.pk)
    assert move(run, "finished")
    assert move(late, "failed") is False
    assert late.state == "finished"
    assert [event.new for event in RunEvent.objects.filter(run=run)] == ["finished"]


def test_a_revived_run_has_no_end_and_keeps_its_start():
    run = a_run(state="queued")
    move(run, "running")
    began = run.started_at
    move(run, "lost")
    assert run.ended_at is not None
    move(run, "running")
    assert (run.started_at, run.ended_at) == (began, None)


def writes_of_run_state(path: Path) -> list[str]:
    """Lines that set `state` of what is called a run, or update it on Run's own rows."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        targets = node.targets if isinstance(node, ast.Assign) else []
        flat = [
            one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])
        ]
        for target in flat:
            if isinstance(target, ast.Attribute) and target.attr == "state":
                owner = ast.unparse(target.value)
                if owner == "run" or owner.endswith((".run", "_run")):
                    found.append(f"{path.name}:{node.lineno}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
            rows = ast.unparse(node.func.value)
            if rows.startswith("Run.objects") and any(word.arg == "state" for word in node.keywords):
                found.append(f"{path.name}:{node.lineno}")
    return found


def test_nothing_but_move_writes_the_state_of_a_run():
    guilty = [
        line
        for package in ("training", "control", "monitoring", "scaleweb")
        for path in sorted((TOP / package).rglob("*.py"))
        if path != TOP / "training" / "states.py" and "migrations" not in path.parts
        for line in writes_of_run_state(path)
    ]
    assert not guilty


def test_the_search_for_other_writers_finds_them(tmp_path):
    """Guards the guard."""
    update = "Run.objects.filter(pk=1).update(state=1)"
    for text in ("run.state = 1", "job.run.state = 1", "a, run.state = 1, 2", update):
        path = tmp_path / "x.py"
        path.write_text(text)
        assert writes_of_run_state(path) == ["x.py:1"]
