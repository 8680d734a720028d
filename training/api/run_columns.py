"""The columns of a list of runs: what it can be sorted by, narrowed by, and asked for.

A column is a field of the run (`name`, `last_step`, `created_at`…), something reckoned from it (`duration`, `cost`…),
`metric:KEY` (the newest value of a key), `min:KEY` and `max:KEY` (the least and greatest that was logged), or
`config:PATH` (a setting; dots lead into nested maps, and a setting whose own name has dots is found too).
"""

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, DateTimeField, F, FloatField, Func, Lookup, Q, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Concat
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    IsNull,
    LessThan,
    LessThanOrEqual,
)
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from monitoring.api.plain_json import BadJson, check_text
from scaleweb_sdk.protocol import MAX_KEY_LENGTH

FIELDS: dict[str, type] = {
    "name": str, "state": str, "last_step": float,
    "created_at": datetime, "started_at": datetime, "ended_at": datetime, "last_seen_at": datetime,
}  # fmt: skip
# Reckoned by the database; device_seconds and energy_joules are null before a run was first counted.
USAGE = {"cost": "cost", "device_seconds": "device_seconds", "energy_joules": "energy_joules"}
RECKONED: dict[str, type] = {
    "duration": float, "created_by": str, "group": str, "tags": str, **dict.fromkeys(USAGE, float),
}  # fmt: skip
MAPS = {"metric": "summary", "min": "lows", "max": "highs", "config": "config"}
KINDS_OF_COLUMN = ", ".join((*FIELDS, *RECKONED)) + ", metric:KEY, min:KEY, max:KEY or config:PATH"
# Settings and metrics mix numbers with text ("NaN" too): numbers come first, then text up to this length.
MAX_SORTED_TEXT = 200
LOOKUPS: dict[str, type[Lookup]] = {
    "=": Exact, "<": LessThan, "<=": LessThanOrEqual, ">": GreaterThan, ">=": GreaterThanOrEqual,
}  # fmt: skip
WHERE_FORM = "COLUMN OPERATOR VALUE, such as metric:loss < 0.5; operators are = != < <= > >="
MAX_WHERE = 20
MAX_COLUMNS = 100


class JsonAt(Func):
    """A value inside a JSON column by its path; null where there is none of this kind."""

    def __init__(self, column: str, path: tuple[str, ...]):
        super().__init__(F(column))
        self.path = path

    def _constructor_arguments(self) -> tuple[Any, ...]:
        return (self.path,)

    def sqlite_path(self) -> str:
        return "$" + "".join("." + json.dumps(name) for name in self.path)


class JsonNumber(JsonAt):
    output_field = FloatField()

    def as_sqlite(self, compiler, connection, **_: Any):
        column, params = compiler.compile(self.source_expressions[0])
        path = self.sqlite_path()
        sql = (
            f"CASE WHEN JSON_TYPE({column}, %s) IN ('integer', 'real') "
            f"THEN CAST(JSON_EXTRACT({column}, %s) AS REAL) END"
        )
        return sql, [*params, path, *params, path]

    def as_postgresql(self, compiler, connection, **_: Any):
        column, params = compiler.compile(self.source_expressions[0])
        path = list(self.path)
        sql = (
            f"CASE WHEN JSONB_TYPEOF({column} #> %s) = 'number' THEN ({column} #>> %s)::double precision END"
        )
        return sql, [*params, path, *params, path]


class JsonText(JsonAt):
    """Text as it is, anything else that is neither number nor null as its JSON."""

    output_field = TextField()

    def as_sqlite(self, compiler, connection, **_: Any):
        column, params = compiler.compile(self.source_expressions[0])
        path = self.sqlite_path()
        sql = (
            f"CASE JSON_TYPE({column}, %s) WHEN 'integer' THEN NULL WHEN 'real' THEN NULL WHEN 'null' THEN NULL "
            f"WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "
            f"ELSE SUBSTR(JSON_EXTRACT({column}, %s), 1, {MAX_SORTED_TEXT}) END"
        )
        return sql, [*params, path, *params, path]

    def as_postgresql(self, compiler, connection, **_: Any):
        column, params = compiler.compile(self.source_expressions[0])
        path = list(self.path)
        # By code point, as SQLite does, whatever the database's language.
        sql = (
            f"(CASE WHEN JSONB_TYPEOF({column} #> %s) NOT IN ('number', 'null') "
            f'THEN LEFT({column} #>> %s, {MAX_SORTED_TEXT}) END COLLATE "C")'
        )
        return sql, [*params, path, *params, path]


class SecondsBetween(Func):
    """From the first moment to the second; null where one of them is."""

    output_field = FloatField()

    def as_sqlite(self, compiler, connection, **options: Any):
        # To the millisecond: a Julian day is a float of that precision.
        template = "ROUND((JULIANDAY(%(expressions)s)) * 86400.0, 3)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") - JULIANDAY(", **options)

    def as_postgresql(self, compiler, connection, **options: Any):
        later_first = self.copy()
        later_first.set_source_expressions(self.get_source_expressions())
        return later_first.as_sql(
            compiler,
            connection,
            template="EXTRACT(EPOCH FROM (%(expressions)s))::double precision",
            arg_joiner=" - ",
            **options,
        )


@dataclass(frozen=True)
class Column:
    """`values`: one expression for a field; a number and a text for what is inside a map. Null means no value."""

    name: str
    kind: type | None  # None: number or text
    values: tuple[Combinable, ...]

    def path(self) -> tuple[str, str] | None:
        """(field of the run, path in it), for what is inside a map."""
        family, colon, path = self.name.partition(":")
        return (MAPS[family], path) if colon else None


def column(name: str) -> Column:
    """Raises ValueError, with what would do, for a name that is none."""
    if name in FIELDS:
        return Column(name, FIELDS[name], (F(name),))
    if name in RECKONED:
        return Column(name, RECKONED[name], (reckoned(name),))
    family, _, path = name.partition(":")
    if family not in MAPS or not path:
        raise ValueError(f"{name[:80]!r} is no column; expected {KINDS_OF_COLUMN}.")
    if len(path) > MAX_KEY_LENGTH:
        raise ValueError(f"the key has {len(path)} characters; at most {MAX_KEY_LENGTH} are kept.")
    if '"' in path:
        # SQLite's paths have no way to write it.
        raise ValueError(f"{name[:80]!r} has a quotation mark, which a list cannot be sorted or narrowed by.")
    plain_text(path)
    paths: list[tuple[str, ...]] = [(path,)]
    if family == "config" and "." in path:
        paths.append(tuple(path.split(".")))
    return Column(name, None, tuple(first_of(kind, MAPS[family], paths) for kind in (JsonNumber, JsonText)))


def reckoned(name: str) -> Combinable:
    if name in USAGE:
        return JsonNumber("usage", (USAGE[name],))
    if name == "created_by":
        return F("created_by__username")
    if name == "group":
        # As JobGroup.label: many grids have one name.
        label = Concat(F("job__group__name"), Value(" · "), F("job__group__code"), output_field=TextField())
        return Case(When(job__group__isnull=False, then=label), output_field=TextField())
    if name == "tags":
        return Cast("tags", TextField())
    # Of a run that goes on: until now.
    until = Coalesce(F("ended_at"), Value(timezone.now(), DateTimeField()))
    return SecondsBetween(until, F("started_at"))


def first_of(kind: type[JsonAt], field: str, paths: list[tuple[str, ...]]) -> Combinable:
    found = [kind(field, path) for path in paths]
    return found[0] if len(found) == 1 else Coalesce(*found)


def plain_text(text: str) -> str:
    """The text itself. Raises ValueError for what no database can hold."""
    try:
        check_text(text, "")
    except BadJson as error:
        raise ValueError(f"the text {error}.") from None
    return text


def where(conditions: list[str]) -> Q:
    """All conditions of a query's `where`. Raises ValidationError."""
    if len(conditions) > MAX_WHERE:
        raise ValidationError({"where": [f"{len(conditions)} conditions; at most {MAX_WHERE} are taken."]})
    wanted = Q()
    for text in conditions:
        try:
            wanted &= condition(text)
        except ValueError as error:
            raise ValidationError({"where": [f"{text[:120]!r}: {error}"]}) from None
    return wanted


def condition(text: str) -> Q:
    """Raises ValueError."""
    # An operator between spaces first: a key may hold one itself.
    found = re.match(r"(.+?) (<=|>=|!=|=|<|>) (.*)$", text, re.DOTALL) or re.match(
        r"(.+?)\s*(<=|>=|!=|=|<|>)\s*(.*)$", text, re.DOTALL
    )
    if not found:
        raise ValueError(f"expected {WHERE_FORM}.")
    name, operator, value = found[1].strip(), found[2], found[3].strip()
    chosen = column(name)
    matches = Q()
    for expression, operand in operands_of(chosen, operator, value):
        matches |= compared(expression, operator, operand)
    if operator == "!=" and chosen.kind is None and finite(value) is None:
        matches |= Q(IsNull(chosen.values[0], False))  # a number is no text
    return matches


def compared(expression: Combinable, operator: str, operand: Any) -> Q:
    """True, false, or not true where there is no value: `!=` too asks for a value that is another."""
    operand = as_operand(operand)
    if operator == "!=":
        return Q(LessThan(expression, operand)) | Q(GreaterThan(expression, operand))
    return Q(LOOKUPS[operator](expression, operand))


def as_operand(value: Any) -> Any:
    # A lookup of a whole-number field would cut a fraction off.
    return Value(value, FloatField()) if isinstance(value, float) else value


def operands_of(chosen: Column, operator: str, value: str) -> list[tuple[Combinable, Any]]:
    """(expression, what it is compared to). Raises ValueError."""
    exact = operator in {"=", "!="}
    if chosen.kind is str:
        if not exact:
            raise ValueError(f"{chosen.name} is text, which takes = and !=.")
        return [(chosen.values[0], plain_text(value))]
    if chosen.kind is datetime:
        return [(chosen.values[0], moment(value))]
    number = finite(value)
    if chosen.kind is float or not exact:
        if number is None:
            raise ValueError(f"expected a finite number after {operator}, got {value[:40]!r}.")
        return [(chosen.values[0], number)]
    texts = (chosen.values[1], plain_text(value)[:MAX_SORTED_TEXT])
    return [texts] if number is None else [(chosen.values[0], number), texts]


def finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=timezone.get_current_timezone())
        if not 1970 <= found.year <= 9000:
            raise ValueError
    except ValueError:
        raise ValueError(f"expected an ISO 8601 time from 1970 to 9000, got {text[:40]!r}.") from None
    return found


@dataclass(frozen=True)
class Choice:
    """The columns that a list was asked for: nothing else of a run is read or written."""

    fields: frozenset[str]
    maps: tuple[tuple[str, tuple[str, ...]], ...]  # a map's field, and the keys of it that were asked for
    settings: tuple[str, ...]

    def narrowed(self, run: dict[str, Any]) -> dict[str, Any]:
        """The maps of a run as written, cut down; a setting stands under its dotted path."""
        for field, keys in self.maps:
            found_in = run[field]
            run[field] = {key: found_in[key] for key in keys if key in found_in}
        if self.settings:
            found = ((path, setting(run["config"], path)) for path in self.settings)
            run["config"] = {path: value for path, value in found if value is not MISSING}
        return run


MISSING = object()
# What a reckoned column is reckoned from, in the browser too.
READ_FROM = {"duration": ("started_at", "ended_at"), **dict.fromkeys(USAGE, ("usage",))}


def choice(names: list[str], known: list[str]) -> Choice | None:
    """What a query's `column` asks for; None when it asks for all. Raises ValidationError."""
    if len(names) > MAX_COLUMNS:
        raise ValidationError({"column": [f"{len(names)} columns; at most {MAX_COLUMNS} are taken."]})
    fields, inside = {"code"}, {family: list[str]() for family in MAPS}
    for name in names:
        family, _, path = name.partition(":")
        if family in inside and path:
            inside[family].append(path)
            fields.add(MAPS[family])
        elif name in READ_FROM:
            fields.update(READ_FROM[name])
        elif name in known:
            fields.add(name)
        else:
            families = ", ".join(f"{family}:KEY" for family in MAPS)
            sentence = f"{name[:80]!r} is no column; expected {', '.join(known)}, {families}."
            raise ValidationError({"column": [sentence]})
    maps = tuple(
        (MAPS[family], tuple(keys)) for family, keys in inside.items() if keys and family != "config"
    )
    return Choice(frozenset(fields), maps, tuple(inside["config"])) if names else None


def setting(config: Any, path: str) -> Any:
    """The value at a dotted path, or MISSING; a name with dots of its own is taken whole."""
    if path in config:
        return config[path]
    for name in path.split("."):
        if not isinstance(config, dict) or name not in config:
            return MISSING
        config = config[name]
    return config
