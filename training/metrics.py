"""Figures of what comes in, for /metrics."""

from prometheus_client import Counter, Gauge, Histogram

CONNECTIONS = Gauge("scaleweb_link_connections", "Open links", ["role"])
BATCHES = Counter("scaleweb_link_batches", "Batches committed")
POINTS = Counter("scaleweb_link_points", "Points committed")
HTTP_POINTS = Counter("scaleweb_http_points", "Points committed that came over the REST API")
LINES = Counter("scaleweb_link_lines", "Log lines committed")
REFUSALS = Counter("scaleweb_link_refusals", "Links ended by the server", ["code"])
REPEATS = Counter("scaleweb_link_repeated_batches", "Batches that came again and were dropped")
CLOCKS_BACK = Counter("scaleweb_link_clocks_back", "Times that a sender's clock was seen to run backwards")
BAD_EVENTS = Counter("scaleweb_link_bad_events", "Events of a process that could not be used", ["kind"])
FLUSH_SECONDS = Gauge(
    "scaleweb_link_flush_seconds",
    "Least interval that senders are asked to keep for load, 0 when there is none",
)
ORDERS = Counter("scaleweb_link_orders", "Commands handed to processes")
COMMIT_SECONDS = Histogram(
    "scaleweb_link_commit_seconds",
    "From a batch's arrival to its commit",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
