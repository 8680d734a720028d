"""What was told so far, a line a turn in `.bench/peers.jsonl`: a measurement that was broken off is carried on."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Turn:
    """One task of one tool, the how many-th time; `divisor` less work than the figures of the docs need."""

    tool: str
    task: str
    number: int
    divisor: int


@dataclass
class Results:
    path: Path
    told: dict[Turn, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def carried_on(cls, path: Path) -> "Results":
        """With what the file has; a line that was cut short by the end of a process is left out."""
        results = cls(path)
        text = path.read_text() if path.exists() else ""
        if text and not text.endswith("\n"):
            path.write_text(text + "\n")  # else the next line would be lost with it
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                results.told[Turn(**entry["turn"])] = entry["told"]
            except (ValueError, KeyError, TypeError):
                continue
        return results

    @classmethod
    def begun_anew(cls, path: Path) -> "Results":
        """An empty file; what was there is kept beside it."""
        if path.exists():
            path.replace(path.with_suffix(".before.jsonl"))
        return cls(path)

    def add(self, turn: Turn, told: list[dict[str, Any]], problem: str) -> None:
        self.told[turn] = told
        entry = {
            "turn": asdict(turn), "told": told, "problem": problem,
            "at": time.strftime("%Y-%m-%d %H:%M:%S"), "load": Path("/proc/loadavg").read_text().split()[0],
        }  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a") as file:
            file.write(json.dumps(entry) + "\n")
