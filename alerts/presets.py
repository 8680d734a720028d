"""Rules that people begin with, and those that a new site has."""

from typing import Any, NamedTuple

from .models import Rule


class Preset(NamedTuple):
    name: str
    condition: str
    parameters: dict[str, Any]
    severity: str
    hold_seconds: float = 0.0
    told: str = ""


PRESETS = (
    Preset(
        "A run failed",
        "run_state",
        {"states": ["failed", "lost"]},
        "critical",
        told="Failed or lost, with the reason.",
    ),
    Preset("Loss is NaN", "non_finite", {"key": "loss"}, "critical", told="The loss became NaN or infinite."),
    Preset(
        "Training has stalled",
        "stalled",
        {"seconds": 600},
        "warning",
        told="Running, and no point for ten minutes.",
    ),
    Preset(
        "Plateau",
        "plateau",
        {"key": "loss", "patience_steps": 2000},
        "info",
        told="The loss has not improved for 2,000 steps.",
    ),
    Preset(
        "Slow loader",
        "run_figure",
        {
            "key": "_data_wait_seconds",
            "per": "_step_seconds",
            "is": "above",
            "limit": 0.3,
            "of": "mean",
            "window_seconds": 120,
        },
        "warning",
        told="Over 30 % of each step is waiting for data.",
    ),
    Preset(
        "Hot device",
        "node_figure",
        {"key": "gpu*/temperature_celsius", "is": "above", "limit": 85},
        "warning",
        60,
        "A GPU over 85 °C for a minute.",
    ),
    Preset(
        "Throttled device",
        "node_figure",
        {"key": "gpu*/throttle_ratio", "is": "above", "limit": 0.5, "of": "mean", "window_seconds": 120},
        "warning",
        told="Clocks held down by heat or power for two minutes.",
    ),
    Preset(
        "Device errors",
        "node_figure",
        {"key": "gpu*/xid_count", "is": "above", "limit": 0},
        "critical",
        told="A critical XID error of a GPU.",
    ),
    Preset(
        "Memory errors",
        "node_figure",
        {"key": "gpu*/ecc_uncorrected_count", "is": "above", "limit": 0},
        "critical",
        told="Uncorrected ECC errors of a GPU.",
    ),
    Preset(
        "Disk nearly full",
        "node_figure",
        {"key": "disk_used_bytes", "per": "disk_total_bytes", "is": "above", "limit": 0.95},
        "critical",
        60,
        "The disk with the data folder over 95 %.",
    ),
    Preset("Node silent", "node_silent", {"seconds": 60}, "critical", told="Not heard of for a minute."),
    Preset(
        "Reserved and idle",
        "idle_device",
        {"below": 0.05, "kind": "gpu"},
        "warning",
        900,
        "A GPU that a job holds, under 5 % for a quarter of an hour.",
    ),
    Preset(
        "Long in the queue", "queue_wait", {"seconds": 3600}, "info", told="A job waits for over an hour."
    ),
    Preset(
        "The controller waits",
        "controller",
        {"when": "waits"},
        "info",
        told="A proposal waits for a person's word.",
    ),
)

# What nobody should have to set up; all of the site, told in the pages alone until channels are added.
AT_FIRST = ("A run failed", "Loss is NaN", "Node silent", "Disk nearly full", "Device errors", "Hot device")


def make_first_rules() -> int:
    """The rules of a new site; how many were made. None where there is any rule, or one that was removed."""
    if Rule.objects.exists():
        return 0
    chosen = [preset for preset in PRESETS if preset.name in AT_FIRST]
    for preset in chosen:
        fields = preset._asdict()
        fields.pop("told")
        Rule.objects.create(**fields)
    return len(chosen)
