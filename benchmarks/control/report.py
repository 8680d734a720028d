"""A row of the table: a figure, what it was to be, and what it was made of."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import Report


@dataclass(frozen=True)
class Row:
    """value None: no figure, `told["note"]` says why. told: further figures, as JSON writes them."""

    name: str
    value: float | None
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    told: dict[str, Any] = field(default_factory=dict)

    def print(self, report: Report, question: str) -> None:
        goal = {name: each for name in ("at_most", "at_least") if (each := getattr(self, name)) is not None}
        report.line(self.name, self.value, self.unit, **goal, question=question, **self.told)
