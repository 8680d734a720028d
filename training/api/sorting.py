"""Pages of runs in the order of any column, by key: what a page costs does not grow with its number.

The key of a row is (which kind of value it has, the value, its id). Rows without a value come last in either
direction, and among equals the newer comes first. A run whose value changes meanwhile moves; no other does.
"""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.lookups import Exact, GreaterThan, IsNull, LessThan
from rest_framework.exceptions import ValidationError
from rest_framework.utils.urls import replace_query_param

from monitoring.api.pages import KeySetPages

from .run_columns import Column, as_operand, column, moment, plain_text

MAX_CURSOR = 10_000


@dataclass(frozen=True)
class Place:
    """A row's place in the order, and whether the page before or after it is meant.

    kind: which of the column's values the row has; as many as there are values when it has none.
    """

    sort: str
    backwards: bool
    kind: int
    value: Any
    id: int

    def text(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        packed = json.dumps([self.sort, self.backwards, self.kind, value, self.id])
        return base64.urlsafe_b64encode(packed.encode()).decode()


class Order:
    def __init__(self, sort: str):
        """Raises ValueError for a column that is none."""
        self.sort = sort
        self.descending = sort.startswith("-")
        self.column: Column = column(sort.removeprefix("-"))

    def keys(self, queryset: QuerySet, place: Place | None) -> QuerySet:
        """(id, value of each kind) of the rows after (or before, then nearest first) a place, or of all."""
        backwards = place is not None and place.backwards
        if place is not None:
            queryset = queryset.filter(self.beyond(place))
        names = [f"sort_{kind}" for kind in range(len(self.column.values))]
        order = []
        for name in names:
            nulls: dict[str, Any] = {"nulls_first": True} if backwards else {"nulls_last": True}
            key = F(name)
            order.append(key.desc(**nulls) if self.descending != backwards else key.asc(**nulls))
        annotated = queryset.annotate(**dict(zip(names, self.column.values, strict=True)))
        return annotated.order_by(*order, "id" if backwards else "-id").values_list("id", *names)

    def beyond(self, place: Place) -> Q:
        values = self.column.values
        behind, ahead = (GreaterThan, LessThan) if self.descending else (LessThan, GreaterThan)
        further = behind if place.backwards else ahead
        same_value = Q(id__gt=place.id) if place.backwards else Q(id__lt=place.id)
        for kind in range(place.kind):
            same_value &= Q(IsNull(values[kind], True))
        if place.kind < len(values):
            here = values[place.kind]
            operand = as_operand(place.value)
            same_value &= Q(Exact(here, operand))
            beyond = same_value | Q(further(here, operand))
            for kind in range(place.kind):
                # Rows of an earlier kind have their place there, whatever else they hold.
                beyond &= Q(IsNull(values[kind], True))
        else:
            beyond = same_value
        if place.backwards:
            for kind in range(place.kind):
                beyond |= Q(IsNull(values[kind], False))
        elif place.kind < len(values):
            rest = Q()
            for kind in range(place.kind + 1):
                rest &= Q(IsNull(values[kind], True))
            beyond |= rest
        return beyond

    def place_of(self, key: tuple[Any, ...], backwards: bool) -> Place:
        row, *found = key
        kind = next((kind for kind, value in enumerate(found) if value is not None), len(found))
        return Place(self.sort, backwards, kind, found[kind] if kind < len(found) else None, row)

    def place(self, text: str) -> Place:
        """Raises ValueError for a text that `Place.text` did not write, or wrote for another order."""
        if len(text) > MAX_CURSOR:
            raise ValueError
        sort, backwards, kind, value, row = json.loads(base64.urlsafe_b64decode(text.encode()))
        if sort != self.sort or type(backwards) is not bool or type(kind) is not int or type(row) is not int:
            raise ValueError
        kinds = (float, str) if self.column.kind is None else (self.column.kind,)
        if not (0 <= kind <= len(kinds) and 0 <= row < 2**63):
            raise ValueError
        if kind == len(kinds):
            return Place(sort, backwards, kind, None, row)
        if kinds[kind] is float:
            value = float(value)
        elif kinds[kind] is datetime:
            value = moment(value)
        else:
            value = plain_text(value)
        return Place(sort, backwards, kind, value, row)


class RunPagination(KeySetPages):
    """With `?sort=COLUMN` in that order (`-COLUMN`: greatest first), else newest first."""

    order: Order | None = None

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> Any:
        sort = self.sort_asked(request)
        if not sort:
            return super().paginate_queryset(queryset, request, view)
        self.base_url = request.build_absolute_uri()
        size = self.get_page_size(request) or 100
        try:
            self.order = Order(sort)
        except ValueError as error:
            raise ValidationError({"sort": [str(error)]}) from None
        place = self.asked_place(request.query_params.get("cursor", ""))
        # Sorted as keys alone, then read: a sort carries along all that is selected, and the rows are wide.
        found = list(self.order.keys(queryset, place)[: size + 1])
        more, found = len(found) > size, found[:size]
        backwards = place is not None and place.backwards
        if backwards:
            found.reverse()
        self.first = found[0] if found and (more if backwards else place is not None) else None
        self.last = found[-1] if found and (more or backwards) else None
        rows = queryset.in_bulk([key[0] for key in found])
        return [rows[key[0]] for key in found if key[0] in rows]

    def sort_asked(self, request: Any) -> str:
        asked: str = request.query_params.get("sort", "")
        return asked

    def asked_place(self, cursor: str) -> Place | None:
        if not cursor or self.order is None:
            return None
        try:
            return self.order.place(cursor)
        except (ValueError, TypeError, OverflowError, RecursionError):
            sentence = "The cursor is not one of this order; begin again without it."
            raise ValidationError({"cursor": [sentence]}) from None

    def get_next_link(self) -> str | None:
        return super().get_next_link() if self.order is None else self.link_to(self.last, False)

    def get_previous_link(self) -> str | None:
        return super().get_previous_link() if self.order is None else self.link_to(self.first, True)

    def link_to(self, key: tuple[Any, ...] | None, backwards: bool) -> str | None:
        if key is None or self.order is None:
            return None
        return replace_query_param(self.base_url or "", "cursor", self.order.place_of(key, backwards).text())
