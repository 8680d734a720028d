"""What a look finds: a subject and the spans for which the rule held for it."""

from dataclasses import dataclass, field

from monitoring.models import Node
from training.models import Project, Run

from .conditions import Span


@dataclass(frozen=True)
class Subject:
    """name: unique within a rule. Exactly one of run and node is given, or for a job its run."""

    name: str
    label: str
    run: Run | None = None
    node: Node | None = None

    @property
    def project(self) -> Project | None:
        return None if self.run is None else self.run.experiment.project


@dataclass(frozen=True)
class Look:
    """Spans by subject, oldest first; subjects without any are left out. looked_at: how many there were."""

    spans: dict[Subject, list[Span]] = field(default_factory=dict)
    looked_at: int = 0
    left_out: int = 0  # subjects beyond what one look takes


def of_run(run: Run, key: str = "") -> Subject:
    return Subject(f"run:{run.code}" + (f"/{key}" if key else ""), run.name, run=run)


def of_node(node: Node, key: str = "") -> Subject:
    return Subject(
        f"node:{node.name}" + (f"/{key}" if key else ""), f"{node.name}{f' {key}' if key else ''}", node=node
    )
