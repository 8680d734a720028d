"""Lists in pages by key, not by offset: the thousandth page costs what the first does."""

from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination

MOST = 1000


class KeySetPages(CursorPagination):
    """Pages of a table. A cursor or limit that means nothing is refused by its name, never guessed at."""

    ordering = "-id"
    page_size = 100
    page_size_query_param = "limit"
    page_size_query_description = f"Rows on a page, 1 to {MOST}; 100 when left out."
    cursor_query_description = "Where the page begins: follow `next` and `previous` instead of making one."
    max_page_size = MOST

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> Any:
        self.check_cursor(queryset.model, request)
        return super().paginate_queryset(queryset, request, view)

    def check_cursor(self, model: Any, request: Any) -> None:
        """The framework takes any position as it comes and fails on it in the database."""
        wrong = ValidationError({"cursor": ["Expected the cursor of a `next` or `previous` address."]})
        try:
            cursor = self.decode_cursor(request)
            if cursor is None or cursor.position is None:
                return
            position = str(cursor.position)
            model._meta.get_field(self.ordering.lstrip("-")).to_python(position)
        except (NotFound, DjangoValidationError, FieldDoesNotExist):
            raise wrong from None
        if "\x00" in position or len(position) > 300:
            raise wrong

    def get_page_size(self, request: Any) -> int:
        given = request.query_params.get(self.page_size_query_param)
        if given is None:
            return self.page_size
        if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= MOST):
            raise ValidationError({"limit": [f"Expected a whole number in 1..{MOST}, got {given[:40]!r}."]})
        return int(given)


def whole(results: list[Any]) -> dict[str, Any]:
    """A list complete on one page, in the shape of those that are not."""
    return {"next": None, "previous": None, "results": results}
