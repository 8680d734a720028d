"""Nodes and devices in the Django admin. Agents write readings and health; operators cordon, drain and label."""

from django.contrib import admin
from django.utils import timezone

from . import nodes
from .api.nodes import open_or_close
from .json_form import NodeForm
from .models import Device, Node, SeriesKey, SeriesSession


class ReadOnly(admin.ModelAdmin):
    """A table with one writer, which is not the admin."""

    def has_add_permission(self, request) -> bool:
        return False

    def has_change_permission(self, request, obj=None) -> bool:
        return False

    def has_delete_permission(self, request, obj=None) -> bool:
        return False


class Devices(admin.TabularInline):
    model = Device
    extra = 0
    can_delete = False
    fields = readonly_fields = [
        "kind",
        "index",
        "name",
        "uuid",
        "memory_total_bytes",
        "healthy",
        "health_reason",
        "removed",
    ]

    def has_add_permission(self, request, obj=None) -> bool:
        return False


@admin.register(Node)
class NodeAdmin(admin.ModelAdmin):
    form = NodeForm
    list_display = [
        "name",
        "state",
        "cordoned",
        "draining",
        "passed_over_until",
        "hostname",
        "device_count",
        "seen",
    ]
    list_filter = ["state", "cordoned", "draining"]
    search_fields = ["name", "hostname"]
    readonly_fields = [
        "name",
        "hostname",
        "state",
        "cordoned",
        "draining",
        "passed_over_until",
        "passed_over_reason",
        "system",
        "latest",
        "registered_at",
        "last_seen_at",
    ]
    fields = [
        "name",
        "hostname",
        "state",
        "cordoned",
        "draining",
        "passed_over_until",
        "passed_over_reason",
        "labels",
        "system",
        "latest",
        "registered_at",
        "last_seen_at",
    ]
    inlines = [Devices]
    actions = ["cordon", "drain", "uncordon"]

    def has_add_permission(self, request) -> bool:
        return False  # a node registers itself when its worker starts

    def delete_model(self, request, node: Node) -> None:
        nodes.remove(node)

    def delete_queryset(self, request, queryset) -> None:
        for node in queryset:
            nodes.remove(node)

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("devices")

    @admin.display(description="devices")
    def device_count(self, node: Node) -> int:
        return sum(not device.removed for device in node.devices.all())

    @admin.display(description="last seen", ordering="last_seen_at")
    def seen(self, node: Node) -> str:
        if node.last_seen_at is None:
            return "never"
        return f"{(timezone.now() - node.last_seen_at).total_seconds():.0f} s ago"

    @admin.action(description="Cordon: take nothing new", permissions=["change"])
    def cordon(self, request, chosen):
        self.turn(request, chosen, "Cordoned", cordoned=True)

    @admin.action(description="Drain: take nothing new, move what runs", permissions=["change"])
    def drain(self, request, chosen):
        self.turn(request, chosen, "Draining", cordoned=True, draining=True)

    @admin.action(description="Uncordon: take jobs again", permissions=["change"])
    def uncordon(self, request, chosen):
        self.turn(request, chosen, "Uncordoned", cordoned=False)

    def turn(self, request, chosen, said: str, cordoned: bool, draining: bool = False) -> None:
        for node in chosen:
            open_or_close(node, cordoned, draining)
        self.message_user(request, f"{said}: {', '.join(n.name for n in chosen)}")


@admin.register(Device)
class DeviceAdmin(ReadOnly):
    list_display = ["__str__", "name", "healthy", "health_reason", "memory_total_bytes", "removed", "holder"]
    list_filter = ["kind", "healthy", "removed", "node"]
    search_fields = ["node__name", "name", "uuid"]
    list_select_related = ["node", "lease__attempt__job__run"]

    @admin.display(description="held by")
    def holder(self, device: Device) -> str:
        # The lease is the layer above's; its words are enough here.
        lease = getattr(device, "lease", None)
        return str(lease.attempt.job.run) if lease else ""


@admin.register(SeriesKey)
class SeriesKeyAdmin(ReadOnly):
    list_display = ["source", "key"]
    search_fields = ["=source", "key"]
    show_full_result_count = False
    list_per_page = 50


@admin.register(SeriesSession)
class SeriesSessionAdmin(ReadOnly):
    list_display = ["source", "session", "last_seq"]
    search_fields = ["=source", "=session"]
    show_full_result_count = False
    list_per_page = 50
