"""Orders to a run: `set`, `pause`, `rollback`, `rescale`, `prune` and the like."""

import argparse
import json
import time
from typing import Any

from .site import Site, Wrong, number


def set_value(options: argparse.Namespace) -> None:
    try:
        value = json.loads(options.value)
    except ValueError:
        value = options.value
    command(options, {"verb": "set", "tunable": options.name, "value": value})


def rollback(options: argparse.Namespace) -> None:
    command(options, {"verb": "rollback", "value": None if options.step is None else {"step": options.step}})


def rescale(options: argparse.Namespace) -> None:
    if options.devices is None and not options.elsewhere:
        raise Wrong("to what? a number of devices, or --elsewhere for another node")
    value = {} if options.devices is None else {"devices": options.devices}
    command(options, {"verb": "rescale", "value": value | ({"elsewhere": True} if options.elsewhere else {})})


def plain_verb(options: argparse.Namespace) -> None:
    command(options, {"verb": options.command})


def offered_verb(options: argparse.Namespace) -> None:
    value: dict[str, Any] = {"dry": True} if options.dry else {}
    for pair in options.settings:
        name, equals, text = pair.partition("=")
        if not equals:
            raise Wrong(f"{pair!r} is no setting; expected name=value, as in amount=0.5")
        try:
            value[name] = json.loads(text)
        except ValueError:
            value[name] = text
    command(options, {"verb": options.command, "value": value})


def command(options: argparse.Namespace, body: dict[str, Any]) -> None:
    """Ask, then wait for the process's answer: what was applied, at which step, or why not."""
    site = Site()
    code = site.known_run(options.run)["code"]
    asked = site.post(f"runs/{code}/commands", body | ({"reason": options.reason} if options.reason else {}))
    end = time.monotonic() + options.wait
    while asked["state"] in {"pending", "sent"} and time.monotonic() < end:
        time.sleep(0.2)
        known = site.get(f"runs/{code}/commands", limit=100)["results"]
        asked = next((item for item in known if item["seq"] == asked["seq"]), asked)
    what = " ".join(filter(None, [asked["verb"], asked["tunable"]]))
    if asked["state"] == "applied":
        change = (
            f": {number(asked['old_value'])} -> {number(asked['new_value'])}"
            if asked["verb"] == "set"
            else ""
        )
        print(f"#{asked['seq']} {what} applied at step {asked['applied_step']}{change}")
        told = asked["new_value"]
        if isinstance(told, dict) and told.get("outcome"):
            print(f"{told['outcome']}: {told.get('reason', '')}")
    elif asked["state"] in {"pending", "sent"}:
        print(
            f"#{asked['seq']} {what} is {asked['state']}; the process has not answered within {options.wait:g} s"
        )
    else:
        raise Wrong(f"#{asked['seq']} {what} was {asked['state']}: {asked['message']}")
