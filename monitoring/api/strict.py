"""Serializers that take exactly what they declare: an unknown name or another type is refused."""

import json
from datetime import datetime
from typing import Any

from django.db import models
from rest_framework import serializers

from scaleweb_sdk.protocol import MAX_STEP

MAX_JSON_BYTES = 2**20


class Text(serializers.CharField):
    """A string and nothing that could be turned into one."""

    default_error_messages = {"invalid": "Expected text, got {kind}."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid", kind=kind_of(data))
        return super().to_internal_value(data)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # CharField calls a blank by `str(data)`, which takes any type.
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            self.fail("invalid", kind=kind_of(data))
        return super().run_validation(data)


class Name(Text):
    """Text of one line, for what people see in lists: no control characters."""

    default_error_messages = {"line": "Expected text without line breaks or control characters."}

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            self.fail("line")
        return value


class Whole(serializers.IntegerField):
    """A whole number within ±2^53."""

    default_error_messages = {
        "invalid": "Expected a whole number, got {kind}.",
        "range": "Expected a whole number {bounds}, got {kind}.",
    }

    def __init__(self, **options: Any) -> None:
        options["min_value"] = max(options.get("min_value", -MAX_STEP), -MAX_STEP)
        options["max_value"] = min(options.get("max_value", MAX_STEP), MAX_STEP)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            data = int(data)  # JavaScript writes 1e21 and Python's clients 3.0 for what is whole
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid", kind=kind_of(data))
        low, high = self.min_value, self.max_value
        if (low is not None and data < low) or (high is not None and data > high):
            self.fail("range", bounds=bounds(low, high), kind=kind_of(data))
        return data


class Number(serializers.FloatField):
    default_error_messages = {
        "invalid": "Expected a number, got {kind}.",
        "range": "Expected a number {bounds}, got {kind}.",
    }

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid", kind=kind_of(data))
        low, high = self.min_value, self.max_value
        # NaN is neither below nor above: whether one may be is its serializer's to say.
        if (low is not None and data < low) or (high is not None and data > high):
            self.fail("range", bounds=bounds(low, high), kind=kind_of(data))
        return float(data)


class Switch(serializers.BooleanField):
    default_error_messages = {"invalid": "Expected true or false, got {kind}."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", kind=kind_of(data))
        return data


class Moment(serializers.DateTimeField):
    """An ISO 8601 time. Years at the calendar's ends cannot be moved to another time zone."""

    default_error_messages = {"year": "Expected a year from 1970 to 9000, got {year}."}

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str):
            self.fail("invalid", format="YYYY-MM-DDThh:mm:ssZ")
        if data[:4].isdigit() and not 1970 <= int(data[:4]) <= 9000:
            self.fail("year", year=data[:4])
        return super().to_internal_value(data)


class JsonMap(serializers.JSONField):
    """A JSON object of at most 1 MiB; the parser has checked what is in it."""

    default_error_messages = {
        "map": "Expected a JSON object, got {kind}.",
        "large": "The object is {size} bytes as JSON; at most {most} are kept.",
    }

    def to_internal_value(self, data: Any) -> dict:
        if not isinstance(data, dict):
            self.fail("map", kind=kind_of(data))
        size = len(json.dumps(data))
        if size > MAX_JSON_BYTES:
            self.fail("large", size=size, most=MAX_JSON_BYTES)
        return data


def bounds(low: float | None, high: float | None) -> str:
    """ "from 0 to 9", "of at least 0", "of at most 9". Nobody set ±2^53, where JSON ceases to be exact."""
    if low in (None, -MAX_STEP):
        return "within ±2^53" if high in (None, MAX_STEP) else f"of at most {high}"
    return f"of at least {low}" if high in (None, MAX_STEP) else f"from {low} to {high}"


def kind_of(value: Any) -> str:
    """What a JSON value is, in JSON's words, with its beginning."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value!r:.40}"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return "a list" if isinstance(value, list) else "an object"


class Strict:
    """Mixin: refuses names that the serializer does not take, each with its own sentence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            fields = self.fields  # type: ignore[attr-defined]
            takes = ", ".join(name for name, field in fields.items() if not field.read_only) or "no fields"
            wrong = {}
            for name in list(data)[:1000]:
                if name not in fields:
                    wrong[name[:80]] = [f"Unknown field; this takes {takes}."]
                elif fields[name].read_only:
                    wrong[name] = ["This field cannot be set."]
            if wrong:
                raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)


class StrictSerializer(Strict, serializers.Serializer):
    pass


class StrictModelSerializer(Strict, serializers.ModelSerializer):
    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.CharField: Text,
        models.TextField: Text,
        models.IntegerField: Whole,
        models.BigIntegerField: Whole,
        models.PositiveIntegerField: Whole,
        models.FloatField: Number,
        models.BooleanField: Switch,
        models.DateTimeField: Moment,
    }


class Nothing(StrictSerializer):
    """For actions that take no arguments: an empty body or {}."""
