"""One shape for the API's errors: {"detail": sentence, "fields": {field: [sentences]}}; a page for people."""

import logging
import re
import secrets
import sqlite3
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import gettext as _
from rest_framework import exceptions, status
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from training.commands import CommandRefused
from training.states import IllegalMove

logger = logging.getLogger(__name__)
GENERAL = "non_field_errors"
# SQLite's words, and those of the system that PostgreSQL hands on.
UNMATCHED = re.compile(r"No (\w+) matches the given query\.")
SPEAKS_OF_SPACE = re.compile(r"disk is full|No space left on device")


def api_exception_handler(exception: Exception, context: dict[str, Any]) -> Response | None:
    """What a view raised, as an answer. None leaves it to Django: a 500, with the trace in the log."""
    translated = translate(exception)
    response = exception_handler(translated, context)
    if response is None:
        return None
    if isinstance(translated, exceptions.ValidationError):
        fields = flatten(translated.detail)
        response.data = {"detail": sentence(fields), "fields": fields}
    else:
        detail = response.data.get("detail", "") if isinstance(response.data, dict) else response.data
        if response.status_code == 404 and isinstance(exception, Http404) and str(exception):
            detail = str(exception)
            if unmatched := UNMATCHED.fullmatch(detail):
                detail = absent(unmatched[1], context["kwargs"])
        fields = getattr(translated, "fields", {})
        response.data = {"detail": str(detail), "fields": fields}
    set_rollback()
    # Also from an address that answers in YAML, CSV or HTML when all is well.
    context["request"].accepted_renderer = JSONRenderer()
    context["request"].accepted_media_type = JSONRenderer.media_type
    return response


def absent(model: str, named: dict[str, Any]) -> str:
    """What Django says of a model, said of what the address named."""
    thing = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model).lower()
    which = " of ".join(f"{value!s:.60}" for value in reversed(named.values()))
    return f"there is no {thing} {which}, or none that you may see"


class Conflict(exceptions.APIException):
    """The request is well formed, but the thing is not in a state for it."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"

    def __init__(self, detail: str, fields: dict[str, list[str]] | None = None):
        super().__init__(detail)
        self.fields = fields or {}


class DiskFull(exceptions.APIException):
    status_code = status.HTTP_507_INSUFFICIENT_STORAGE
    default_code = "disk_full"
    default_detail = (
        "The server's disk is full, so nothing was changed. Make room there (docs/store.md says what takes it); what "
        "trainings send waits at their senders until then."
    )


class Away(exceptions.APIException):
    """What this server needs does not answer; the same request is well in a moment."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "away"
    default_detail = (
        "The database did not answer, or not in time. Ask again in some seconds; where it stays so, /healthz says "
        "what is wrong."
    )
    wait = 2  # seconds; the framework makes Retry-After of it


# SQLite says all that it cannot do by the same error, a table that is not there as well.
SQLITE_IS_HELD = re.compile(r"locked|busy|unable to open|disk I/O")


def unanswered(exception: Exception) -> bool:
    """The connection broke, none was free in time, or whoever holds a lock did not let go."""
    if not isinstance(exception, OperationalError | InterfaceError) or SPEAKS_OF_SPACE.search(str(exception)):
        return False
    return not isinstance(exception.__cause__, sqlite3.Error) or bool(SQLITE_IS_HELD.search(str(exception)))


def translate(exception: Exception) -> Exception:
    """The domain's own refusals as HTTP's."""
    if isinstance(exception, OperationalError | OSError) and SPEAKS_OF_SPACE.search(str(exception)):
        logger.error("the disk is full: %s", exception)
        return DiskFull()
    if unanswered(exception):
        logger.error("the database does not answer: %s", exception)
        return Away()
    if isinstance(exception, IllegalMove):
        return Conflict(str(exception))
    if isinstance(exception, CommandRefused) or refused_job(exception):
        field, message = exception.field, exception.message  # type: ignore[attr-defined]
        if field == "state":
            return Conflict(message, {"state": [message]})
        return exceptions.ValidationError({field: [message]})
    # A relation that is not there (`run.job`) is an AttributeError too, and a mistake of ours.
    if isinstance(exception, ObjectDoesNotExist) and not isinstance(exception, AttributeError):
        # Found when the request began, and deleted by somebody since.
        return exceptions.NotFound("it was deleted just now")
    if isinstance(exception, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        error = exceptions.APIException(f"The body is larger than {most} bytes; send less at a time.")
        error.status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
        return error
    if isinstance(exception, DjangoValidationError):
        return exceptions.ValidationError(
            exception.message_dict if hasattr(exception, "error_dict") else {GENERAL: exception.messages}
        )
    if isinstance(exception, SuspiciousOperation):
        return exceptions.ParseError(str(exception))
    return exception


def refused_job(exception: Exception) -> bool:
    from training.jobs.submit import JobRefused

    return isinstance(exception, JobRefused)


def flatten(detail: Any, path: str = "") -> dict[str, list[str]]:
    """DRF's nested errors as one level: {"points[3].step": ["…"]}."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            # ListSerializer numbers its errors with whole keys in newer versions of DRF.
            where = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}" if path else str(name)
            found.update(flatten(inner, path if path and name == GENERAL else where))
        return found
    if isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        found = {}
        for index, inner in enumerate(detail):
            if inner:
                found.update(flatten(inner, f"{path}[{index}]"))
        return found
    sentences = [str(item) for item in detail] if isinstance(detail, list) else [str(detail)]
    return {path or GENERAL: sentences}


def sentence(fields: dict[str, list[str]]) -> str:
    """The first error in words, and how many more there are."""
    name, words = next(iter(fields.items()))
    first = words[0] if name == GENERAL else f"{name}: {words[0]}"
    return first if len(fields) == 1 else f"{first} (and {len(fields) - 1} more)"


class AwayPages(MiddlewareMixin):
    """Says the same to people, whose pages Django would answer with a 500."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not unanswered(exception):
            return None
        logger.error("%s %s: the database does not answer: %s", request.method, request.path, exception)
        response = answer(
            request, Away.status_code, _("The database does not answer"), _(Away.default_detail)
        )
        response["Retry-After"] = str(Away.wait)
        return response


@receiver(got_request_exception)
def name_the_failure(sender: Any, request: HttpRequest | None = None, **_: Any) -> None:
    """Give a failed request a number that its answer shows and the log has beside the trace."""
    if request is not None:
        request.failure_id = secrets.token_hex(4)  # type: ignore[attr-defined]
        logger.error("request %s: %s %s failed", request.failure_id, request.method, request.path)  # type: ignore[attr-defined]


def answer(request: HttpRequest, code: int, title: str, detail: str) -> HttpResponse:
    if request.path.startswith("/api/") or request.path in {"/healthz", "/metrics"}:
        return JsonResponse({"detail": detail, "fields": {}}, status=code)
    return render(request, "scaleweb/error.html", {"title": title, "detail": detail}, status=code)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return answer(request, 413, _("Too large"), _("The request is larger than this server takes."))
    return answer(request, 400, _("Bad request"), _("The server could not make sense of this request."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, 403, _("Not allowed"), str(exception) or _("Your role does not allow this."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(
        request, 404, _("Not found"), _("There is nothing at %(path)s.") % {"path": request.path[:200]}
    )


def server_error(request: HttpRequest) -> HttpResponse:
    number = getattr(request, "failure_id", "unknown")
    detail = _("The server failed on this request. Its log has the reason under number %(number)s.")
    return answer(request, 500, _("The server failed"), detail % {"number": number})


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    detail = _("This form is out of date or came from another site. Go back, reload the page and try again.")
    return answer(request, 403, _("Not accepted"), detail)


def locked_out(request: HttpRequest, *given: Any, **named: Any) -> HttpResponse:
    """django-axes calls this after too many wrong passwords."""
    detail = _("Too many attempts with a wrong password. Wait a quarter of an hour, or ask an administrator.")
    return answer(request, 429, _("Locked for now"), detail)
