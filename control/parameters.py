"""What a person may set of the controller, checked before it is stored."""

import math
from collections.abc import Mapping
from typing import Any

from .decide import COMMON
from .guards import InvalidSetting, Limits
from .registry import Registry


def check_policies(settings: Any, registry: Registry) -> dict[str, dict[str, Any]]:
    """{policy: {parameter: value}} as given, if every name is known and every value of its default's type.

    Raises InvalidSetting, whose field is "policies", "policies.<policy>" or "policies.<policy>.<parameter>".
    """
    if not isinstance(settings, Mapping):
        raise InvalidSetting("policies", 'must be a map like {"divergence": {"enabled": true}}')
    checked: dict[str, dict[str, Any]] = {}
    for name, parameters in settings.items():
        policy = registry.named(name)
        where = f"policies.{name}"
        if policy is None:
            known = ", ".join(p.name for p in registry.policies)
            raise InvalidSetting(where, f"is no policy of this site; the policies are {known}")
        if not isinstance(parameters, Mapping):
            raise InvalidSetting(where, f"must be a map of parameters, got {parameters!r:.80}")
        defaults = {**COMMON, **policy.defaults}
        for parameter, value in parameters.items():
            field = f"{where}.{parameter}"
            if parameter not in defaults:
                known = ", ".join(sorted(defaults))
                raise InvalidSetting(field, f"is no parameter of {name}; its parameters are {known}")
            check_parameter(field, defaults[parameter], value)
        checked[name] = dict(parameters)
    return checked


def check_parameter(field: str, default: Any, value: Any) -> None:
    """Raise InvalidSetting unless `value` can stand in for `default`: its type, and its sign for numbers."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise InvalidSetting(field, f"must be true or false, got {value!r:.80}")
    elif isinstance(default, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InvalidSetting(field, f"must be a number like {default!r}, got {value!r:.80}")
        if isinstance(default, int) and value != int(value):
            raise InvalidSetting(field, f"must be a whole number like {default!r}, got {value!r}")
        if default > 0 and not 0 < value <= 1e12:
            raise InvalidSetting(field, f"must be above 0 and at most 1e12, got {value!r}")
    elif isinstance(default, str):
        if not isinstance(value, str) or len(value) > 300:
            raise InvalidSetting(field, f"must be a text of at most 300 characters, got {value!r:.80}")
    elif type(value) is not type(default):
        raise InvalidSetting(field, f"must be a {type(default).__name__} like {default!r}, got {value!r:.80}")


def check_guards(settings: Any) -> dict[str, Any]:
    """The guards' figures as given. Raises InvalidSetting, whose field is "guards.<figure>"."""
    if not isinstance(settings, Mapping):
        raise InvalidSetting("guards", 'must be a map like {"cooldown_steps": 50}')
    try:
        Limits.of(settings)
    except InvalidSetting as error:
        raise InvalidSetting(f"guards.{error.field}", error.message) from None
    return dict(settings)
