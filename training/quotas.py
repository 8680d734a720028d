"""What a quota promises beyond the devices that exist, in words. It is not refused: nodes may come."""

from django.db.models import Sum

from monitoring.models import Device

from .jobs.reasons import what
from .models import Quota


def beyond(quota: Quota) -> str:
    """ "" where what is promised is there."""
    exist = Device.objects.filter(kind=quota.kind, removed=False).count()
    if quota.devices > exist:
        own = what(quota.kind, quota.devices)
        return f"{own} {'is' if quota.devices == 1 else 'are'} more than the {exist} there are, until more nodes join"
    rows = Quota.objects.filter(kind=quota.kind)
    promised = rows.aggregate(Sum("devices"))["devices__sum"] or 0
    if promised <= exist:
        return ""
    return (
        f"all projects' quotas together are {what(quota.kind, promised)}, and there are {exist}: each gets its own as "
        "others' jobs end, as far as that goes"
    )
