"""What an attempt used: device time, energy, money."""

from django.db import models

from .job import Attempt


class Usage(models.Model):
    """Written by `training.ledger` alone. It names node, devices and rate itself: it outlives them.

    joules: None where no device told its power. power_seconds: device seconds that readings stand behind. cost: None
    where a device has no rate.
    """

    attempt = models.OneToOneField(Attempt, on_delete=models.CASCADE, related_name="usage")
    node = models.CharField(max_length=100)
    # [{"device": "gpu0", "name": "NVIDIA H100 80GB HBM3"}], with "node" where it is of a further node
    devices = models.JSONField(default=list)
    # Of all devices together, as it was when the attempt was first counted.
    rate_per_hour = models.FloatField(null=True, blank=True)
    currency = models.CharField(max_length=10, blank=True)
    device_seconds = models.FloatField(default=0)
    joules = models.FloatField(null=True, blank=True)
    power_seconds = models.FloatField(default=0)
    cost = models.FloatField(null=True, blank=True)
    counted_until = models.DateTimeField()
    # Nothing more will be added: the attempt has ended, and its node's last readings are in.
    settled = models.BooleanField(default=False, db_index=True)

    class Meta:
        verbose_name_plural = "usage"

    def __str__(self) -> str:
        return f"{self.device_seconds / 3600:.3g} device hours of {self.attempt}"
