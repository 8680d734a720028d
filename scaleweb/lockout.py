"""Who has guessed enough: beside each pair of name and address, the address and the name by themselves."""

from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.db.models import Sum

# A team behind one address, or a person with many devices, may fail ten times as often as the pair.
WIDE_FACTOR = 10


class Lockout(AxesDatabaseHandler):
    """Also ends the guessing of one password over many names, and of one name from many addresses."""

    def get_failures(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        pair: int = super().get_failures(request, credentials)
        lately = AccessAttempt.objects.filter(attempt_time__gte=get_cool_off_threshold(request))
        username = (credentials or {}).get("username") or request.POST.get("username")
        for attempts in (
            lately.filter(ip_address=request.axes_ip_address) if request.axes_ip_address else None,
            lately.filter(username=username) if username else None,
        ):
            if attempts is not None:
                total = attempts.aggregate(total=Sum("failures_since_start"))["total"] or 0
                pair = max(pair, total // WIDE_FACTOR)
        return pair
