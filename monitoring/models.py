"""Hosts and their devices. The series tables are in `monitoring.storage.models`."""

from django.db import models

from .storage.models import *  # noqa: F403  Django finds an app's models here


class Node(models.Model):
    class State(models.TextChoices):
        ONLINE = "online"
        SILENT = "silent"
        LOST = "lost"

    name = models.CharField(max_length=100, unique=True)
    hostname = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=6, choices=State, default=State.ONLINE)
    # It keeps what runs on it and takes nothing new; where it is draining, what runs is asked to go on elsewhere too.
    cordoned = models.BooleanField(default=False)
    draining = models.BooleanField(default=False)
    # It takes nothing new until then, for the reason that stands here: written by the layer that gives it jobs.
    passed_over_until = models.DateTimeField(null=True, blank=True)
    passed_over_reason = models.CharField(max_length=500, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    # {"cpu_count", "memory_bytes", "os", "python", "gpu_driver", …} as the agent found it.
    system = models.JSONField(default=dict, blank=True)
    # Latest reading: {"cpu_utilisation_ratio": …, "memory_used_bytes": …}; history is in the series store.
    latest = models.JSONField(default=dict, blank=True)
    registered_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(draining=False) | models.Q(cordoned=True), name="what_drains_is_cordoned"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        return f"node:{self.name}"


class Device(models.Model):
    class Kind(models.TextChoices):
        CPU = "cpu"
        GPU = "gpu"

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="devices")
    kind = models.CharField(max_length=3, choices=Kind)
    index = models.PositiveIntegerField()
    uuid = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    memory_total_bytes = models.BigIntegerField(null=True, blank=True)
    healthy = models.BooleanField(default=True)
    health_reason = models.CharField(max_length=500, blank=True)
    # A job was to start on it, and it was not there: from then on the node's own word of its health does not count.
    not_found_at = models.DateTimeField(null=True, blank=True)
    latest = models.JSONField(default=dict, blank=True)
    # [{"pid", "memory_used_bytes", "run": code or None}] as NVML listed them last.
    processes = models.JSONField(default=list, blank=True)
    removed = models.BooleanField(default=False)  # no longer reported by its node

    class Meta:
        ordering = ["node", "kind", "index"]
        constraints = [models.UniqueConstraint(fields=["node", "kind", "index"], name="one_device_per_index")]

    def __str__(self) -> str:
        return f"{self.node.name}/{self.kind}{self.index}"

    @property
    def key_prefix(self) -> str:
        """What this device's keys start with among its node's series: "gpu0/utilisation_ratio"."""
        return f"{self.kind}{self.index}/"
