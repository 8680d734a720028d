"""A node's attempts that were given up while its worker was not heard: what their folders say of their end counts."""

from dataclasses import dataclass, field

from monitoring.models import Node
from training.models import Attempt

from . import corrections
from .farewell import last_word
from .local import Local, Status
from .output import unsent
from .spec import folder_of

Outcome = Attempt.Outcome


@dataclass
class GivenUp:
    """`look` is called at each look of the node's loop. It asks the database only where an attempt has gone."""

    mine: set[int] | None = None
    open: set[int] = field(default_factory=set)

    def look(self, node: Node, mine: set[int]) -> None:
        """mine: the attempts of this node that stand now."""
        lost = corrections.given_up().filter(node=node)
        if self.mine is None:
            self.open = set(lost.values_list("pk", flat=True))
        else:
            self.open |= self.mine - mine
        self.mine = mine
        if self.open:
            self.open = {attempt.pk for attempt in lost.filter(pk__in=self.open) if not settled(attempt)}


def settled(attempt: Attempt) -> bool:
    """Put it right if it had finished. False while that may still turn out."""
    local = Local(folder_of(attempt))
    status = local.status()
    if status.living:
        return False
    refused = (local.folder / "refused.json").exists()
    if status is not Status.ENDED or refused:
        # What was refused are its last points: a run that finished without them would not be whole.
        return True
    if unsent(local.folder / "spool"):
        return False  # its last word may be among it
    code, word = local.exit().get("exit_code"), last_word(attempt)
    # A script without the SDK says nothing; one that this node has ended itself may well exit with 0.
    if word == Outcome.FINISHED or (word is None and code == 0 and not local.given_up):
        how = "its process said that it has finished" if code is None else f"exit code {code}"
        corrections.finished_after_all(attempt, how, code)
    return True
