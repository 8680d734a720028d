"""Figures of the live path, for /metrics."""

from prometheus_client import Counter, Gauge

VIEWERS = Gauge("scaleweb_live_viewers", "Open live websockets of this web process")
MESSAGES = Counter("scaleweb_live_messages", "Messages that had at least one viewer in this web process")
DROPPED = Counter("scaleweb_live_dropped", "Messages dropped because a viewer was too slow to take them")
