"""An address of the admin's that asks for what no row can have, answered as the admin answers other ones."""

import logging

from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.deprecation import MiddlewareMixin

logger = logging.getLogger(__name__)


class AdminFilters(MiddlewareMixin):
    """Django's admin lets a number past 64 bits, or a year past the calendar, through to the database."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        asked = request.path.startswith("/admin/") and request.method == "GET" and request.GET
        if (
            not asked
            or "e" in request.GET
            or not isinstance(exception, OverflowError | ValueError | DataError)
        ):
            return None
        logger.warning("admin: %s cannot be filtered by this query: %s", request.path, exception)
        return HttpResponseRedirect(f"{request.path}?e=1")
