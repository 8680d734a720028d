"""Lists that are not rows of a table, in the shape of those that are."""

from typing import Any


def whole(results: list[Any]) -> dict[str, Any]:
    """A list complete on one page."""
    return {"next": None, "previous": None, "results": results}
