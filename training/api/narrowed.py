"""The runs that a question is about: the caller's, narrowed by the query's filters."""

import json
import re

import django_filters
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from drf_spectacular.utils import OpenApiParameter

from training.models import Run

from .permissions import ProjectScoped
from .run_columns import where
from .run_filters import Narrowing
from .run_serializers import RUNS

MAX_CODES = 1000
NARROWING = ("where", "filter", "find")
WHERE = OpenApiParameter(
    "where", str, many=True, explode=True,
    description="`COLUMN OPERATOR VALUE`, such as `metric:loss < 0.5` or `config:optimizer = adam`. "
    "Operators: = != < <= > >=. May be given several times: all must hold.",
)  # fmt: skip
FILTER = OpenApiParameter(
    "filter", str,
    description='JSON: `{"column", "operator", "value"}`, or `{"all": […]}` and `{"any": […]}` of such, nested. '
    "Operators beside those of `where`: "
    "contains, ~ and !~ (a pattern in RE2 syntax, whatever the case), exists, missing.",
)  # fmt: skip
FIND = OpenApiParameter(
    "find", str,
    description="Words that must all occur in the name, notes, tags, state or settings (`lr=0.1`); or `/pattern/`.",
)  # fmt: skip
NARROWING_PARAMETERS = [WHERE, FILTER, FIND]
CODES = OpenApiParameter("code", str, description="Codes with commas between them.")


class RunFilter(django_filters.FilterSet):
    experiment = django_filters.NumberFilter(
        field_name="experiment_id", min_value=1, max_value=2**53, decimal_places=0
    )
    project = django_filters.CharFilter(field_name="experiment__project__slug")
    state = django_filters.MultipleChoiceFilter(choices=Run.STATES, help_text="May be given several times.")
    tag = django_filters.CharFilter(method="by_tag", help_text="A tag in full.")
    search = django_filters.CharFilter(
        method="by_words", help_text="Part of the name, the code or the notes."
    )

    parent = django_filters.CharFilter(
        field_name="parent__code", help_text="The code of the run that they go on from."
    )
    code = django_filters.CharFilter(method="by_codes", help_text="Codes with commas between them.")

    class Meta:
        model = Run
        fields = ["experiment", "project", "state", "parent"]

    def by_codes(self, queryset, name, value):
        return by_codes(queryset, value)

    def by_tag(self, queryset, name, value):
        # JSON containment is PostgreSQL's alone. As text, a whole tag is its quoted form: quotes inside
        # others are escaped. SQLite keeps non-ASCII escaped, PostgreSQL does not.
        quoted = {json.dumps(value), json.dumps(value, ensure_ascii=False)}
        match = Q()
        for form in quoted:
            match |= Q(tags_text__contains=form)
        return queryset.alias(tags_text=Cast("tags", TextField())).filter(match)

    def by_words(self, queryset, name, value):
        return queryset.filter(Q(name__icontains=value) | Q(code=value) | Q(notes__icontains=value))


class NarrowedRuns(ProjectScoped):
    """Mixin for views over many runs."""

    queryset = RUNS
    filterset_class = RunFilter
    query_parameters: tuple[str, ...] = NARROWING

    def filter_queryset(self, queryset: QuerySet[Run]) -> QuerySet[Run]:
        """Raises ValidationError for a filter that cannot be used."""
        queryset = super().filter_queryset(queryset)
        asked = self.request.query_params
        return narrow(queryset, asked.getlist("where"), asked.get("filter", ""), asked.get("find", ""))


def by_codes(runs: QuerySet[Run], codes: str) -> QuerySet[Run]:
    # PostgreSQL takes no NUL in a text, and no code has one.
    return runs.filter(code__in=[code for code in re.split(r"[,\s]+", codes)[:MAX_CODES] if "\0" not in code])


def narrow(runs: QuerySet[Run], conditions: list[str], wanted: str, find: str) -> QuerySet[Run]:
    """Raises ValidationError with the name of what cannot be used."""
    if conditions:
        runs = runs.filter(where(conditions))
    narrowing = Narrowing(runs)
    if wanted:
        runs = runs.filter(narrowing.filter(wanted))
    if find:
        runs = runs.filter(narrowing.find(find))
    return runs
