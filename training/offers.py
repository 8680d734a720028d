"""Verbs that only some runs take: what their process offers, and whether an order's value fits the offer."""

from typing import Any

import msgspec

from scaleweb_sdk.protocol import TunableSpec, VerbSpec

from .models import Run
from .models.command import Verb
from .values import BadValue, check_spec, check_value, shown

OFFERED = (Verb.PRUNE, Verb.QUANTISE, Verb.COMPILE, Verb.RESCALE)
MAKES = {
    Verb.RESCALE: "save checkpoints in its script (run.on_checkpoint, or the torch helper), and submit it as a job",
}
MAX_PARAMETERS = 50


class NotOffered(ValueError):
    """The run's process does not take this verb; the message says what would make it."""


def check_spec_of(spec: VerbSpec) -> None:
    """Raises BadValue for an offer that contradicts itself or is of another verb."""
    if spec.verb not in OFFERED:
        raise BadValue(f"verb={spec.verb!r:.40} cannot be offered; expected one of {', '.join(OFFERED)}")
    check_parameters(spec.verb, spec.parameters)


def check_parameters(name: str, parameters: list[TunableSpec]) -> None:
    if len(parameters) > MAX_PARAMETERS:
        raise BadValue(f"{name} has {len(parameters)} parameters; at most {MAX_PARAMETERS} are kept")
    for parameter in parameters:
        parameter.value = check_spec(parameter, parameter.value)


def check_value_of(run: Run, verb: str, value: Any) -> dict[str, Any]:
    """The order's value with the offer's defaults for what it leaves out. Raises NotOffered, BadValue."""
    offer = next((offer for offer in run.offers if offer.get("verb") == verb), None)
    if offer is None:
        offered = ", ".join(str(offer.get("verb")) for offer in run.offers) or "none of its kind"
        what = MAKES.get(Verb(verb), "call loop.offer_algorithms in its script")
        raise NotOffered(f"this run offers no {verb} (it offers {offered}): {what}")
    return fill_from(verb, offer.get("parameters", []), value)


def fill_from(name: str, parameters: list[Any], value: Any) -> dict[str, Any]:
    """`fill` with the parameters as they are stored."""
    return fill(name, msgspec.convert(parameters, list[TunableSpec]), value)


def fill(verb: str, parameters: list[TunableSpec], value: Any) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in parameters}
    given = {} if value is None else value
    if not isinstance(given, dict):
        raise BadValue(f"value={shown(value)} is no map of {', '.join(known) or 'nothing'}")
    unknown = sorted(map(str, given.keys() - known.keys()))
    if unknown:
        raise BadValue(f"{verb} has no parameter {unknown[0]!r:.80}; its parameters are {', '.join(known)}")
    return {
        name: check_value(spec, given[name]) if name in given else spec.value for name, spec in known.items()
    }
