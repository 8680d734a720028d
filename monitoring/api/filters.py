"""Filters of lists, and the query parameters that an address takes at all."""

from typing import Any

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError

PAGE_PARAMETERS = ("limit", "cursor")


class KnownFilters(DjangoFilterBackend):
    """Refuses parameters that the list does not know: a filter misspelt would list everything."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        filters = getattr(view, "filterset_class", None)
        more = getattr(view, "query_parameters", ())  # what it reads itself, without a filter
        known_query(request, *(filters.base_filters if filters else ()), *more, *PAGE_PARAMETERS)
        return super().filter_queryset(request, queryset, view)


def known_query(request: Any, *names: str) -> dict[str, str]:
    """The query parameters given, if the address takes each of them. Raises ValidationError."""
    takes = ", ".join(names) or "none"
    unknown = [name for name in request.query_params if name not in names]
    if unknown:
        raise ValidationError(
            {name[:80]: [f"Unknown parameter; this takes {takes}."] for name in unknown[:20]}
        )
    return {name: request.query_params[name] for name in request.query_params}
