"""One look at a rule: for whom it holds, and since when. The tick and the preview ask the same."""

from datetime import datetime

from . import records, series
from .conditions import CONDITIONS, parameters_of
from .found import Look
from .models import Rule


def look(rule: Rule, since: datetime, until: datetime, past: bool = False) -> Look:
    """The spans that touch since..until. past: of what has ended by now too, as a preview asks.

    Raises BadParameters where the rule's parameters do not fit its condition (any more).
    """
    condition = parameters_of(rule.condition, rule.parameters)
    of_record = records.LOOKS.get(rule.condition)
    if of_record is not None:
        return of_record(rule, condition, since, until, past)
    return series.LOOKS[CONDITIONS[rule.condition].looks_at](rule, condition, since, until, past)
