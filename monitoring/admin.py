"""Nodes and devices in the Django admin. Agents write readings and health; operators drain and label."""

from django.contrib import admin
from django.utils import timezone

from .api.nodes import set_drained
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
    list_display = ["name", "state", "drained", "hostname", "device_count", "seen"]
    list_filter = ["state", "drained"]
    search_fields = ["name", "hostname"]
    readonly_fields = ["name", "hostname", "state", "system", "latest", "registered_at", "last_seen_at"]
    fields = [
        "name",
        "hostname",
        "state",
        "drained",
        "labels",
        "system",
        "latest",
        "registered_at",
        "last_seen_at",
    ]
    inlines = [Devices]
    actions = ["drain", "undrain"]

    def has_add_permission(self, request) -> bool:
        return False  # a node registers itself when its worker starts

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

    @admin.action(description="Drain: take nothing new", permissions=["change"])
    def drain(self, request, nodes):
        self.turn(request, nodes, True)

    @admin.action(description="Undrain: take jobs again", permissions=["change"])
    def undrain(self, request, nodes):
        self.turn(request, nodes, False)

    def turn(self, request, nodes, drained: bool) -> None:
        for node in nodes:
            set_drained(node, drained)
        self.message_user(
            request, f"{'Drained' if drained else 'Undrained'}: {', '.join(n.name for n in nodes)}"
        )


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
