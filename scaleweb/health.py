"""`/healthz`: whether this server can do its work, for load balancers and `make run`. No login."""

import logging
import shutil
from collections.abc import Callable

from django.conf import settings
from django.db import Error, connections
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
NEEDED_FREE_BYTES = 20 * 2**20


def database() -> str:
    for name in {"default", settings.SERIES_DATABASE}:
        try:
            with connections[name].cursor() as cursor:
                cursor.execute("SELECT 1")
        except Error as error:
            logger.warning("health: the %s database does not answer: %s", name, error)
            return "the database does not answer"
    return ""


def broker() -> str:
    from monitoring.live.publish import client
    from monitoring.live.refused import why

    try:
        client().ping()
    except (RedisError, OSError) as error:
        logger.warning("health: the broker does not answer: %s", error)
        return f"{why(error)}; live updates and jobs wait until it is back"
    return ""


def writer() -> str:
    from monitoring.storage import series

    return "" if series.writer().alive else "the series writer has stopped: points wait at their senders"


def disk() -> str:
    free = shutil.disk_usage(settings.HOME).free
    if free >= NEEDED_FREE_BYTES:
        return ""
    return (
        f"the disk of the data folder is full ({free / 2**20:.0f} MiB are free): points wait at their senders"
    )


CHECKS: dict[str, Callable[[], str]] = {
    "database": database,
    "broker": broker,
    "writer": writer,
    "disk": disk,
}


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    wrong = {name: words for name, check in CHECKS.items() if (words := check())}
    if wrong:
        return JsonResponse({"status": "failing", "wrong": wrong}, status=503)
    return JsonResponse({"status": "ok"})
