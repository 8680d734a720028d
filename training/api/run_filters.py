"""What narrows a list of runs beside `where`: conditions nested by `all` and `any`, and what is typed to find.

{"all": [{"column": "metric:loss", "operator": "<", "value": 0.5},
         {"any": [{"column": "tags", "operator": "=", "value": "baseline"},
                  {"column": "name", "operator": "~", "value": "^sweep-1"}]}]}
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from django.db.models import BooleanField, F, Func, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.db.models.lookups import IsNull
from rest_framework.exceptions import ValidationError

from monitoring.api.plain_json import BadJson, check, check_text

from .patterns import BadPattern, compiled
from .run_columns import Column, column, compared, finite, operands_of

MAX_FILTER_BYTES = 20_000
MAX_CONDITIONS = 50
MAX_DEPTH = 5
MAX_FIND = 500
MAX_WORDS = 20
# A pattern is searched here and not in the database: of so many runs and characters at most.
MAX_SEARCHED_RUNS = 50_000
MAX_SEARCHED_CHARACTERS = 50_000_000
COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
OPERATORS = (*COMPARISONS, "contains", "~", "!~", "exists", "missing")
LEAF_FORM = '{"column": …, "operator": …, "value": …}'


class BadFilter(ValueError):
    """The message says where in the filter, and what would do."""


class IdIn(Func):
    """Whether a row's id is among these: one parameter, however many they are."""

    output_field = BooleanField()

    def __init__(self, ids: Iterable[int], row: str = "id"):
        super().__init__(F(row))
        self.ids = list(ids)
        self.row = row

    def _constructor_arguments(self) -> tuple[Any, ...]:
        return (tuple(self.ids), self.row)

    def as_sqlite(self, compiler, connection, **_: Any):
        row, params = compiler.compile(self.source_expressions[0])
        # `row` is a column's own name, as the compiler quotes it.
        return f"{row} IN (SELECT value FROM JSON_EACH(%s))", [*params, json.dumps(self.ids)]  # noqa: S608

    def as_postgresql(self, compiler, connection, **_: Any):
        row, params = compiler.compile(self.source_expressions[0])
        return f"{row} = ANY(%s::bigint[])", [*params, self.ids]


class Narrowing:
    """Conditions over `runs`, which are all that could be meant: those that the caller may see, of one experiment…"""

    def __init__(self, runs: QuerySet):
        self.runs = runs
        self.count = 0

    def filter(self, text: str) -> Q:
        """Raises ValidationError for `filter`."""
        if len(text) > MAX_FILTER_BYTES:
            raise ValidationError(
                {"filter": [f"{len(text)} characters; at most {MAX_FILTER_BYTES} are taken."]}
            )
        try:
            wanted = json.loads(text)
            check(wanted)
        except BadJson as error:
            raise ValidationError({"filter": [f"{error.path} {error}".strip() + "."]}) from None
        except (ValueError, RecursionError):
            raise ValidationError({"filter": [f"Expected JSON such as {LEAF_FORM}."]}) from None
        try:
            return self.node(wanted, "filter", 0)
        except BadFilter as error:
            raise ValidationError({"filter": [str(error)]}) from None

    def node(self, wanted: Any, where: str, depth: int) -> Q:
        if not isinstance(wanted, dict):
            raise BadFilter(f'{where}: expected {LEAF_FORM}, {{"all": […]}} or {{"any": […]}}.')
        if depth > MAX_DEPTH:
            raise BadFilter(f"{where} is nested deeper than {MAX_DEPTH} levels.")
        for name in ("all", "any"):
            if name not in wanted:
                continue
            if len(wanted) > 1 or not isinstance(wanted[name], list):
                raise BadFilter(f"{where}.{name}: expected a list of conditions and nothing beside it.")
            parts = [
                self.node(each, f"{where}.{name}[{at}]", depth + 1) for at, each in enumerate(wanted[name])
            ]
            whole = Q()
            for part in parts:
                whole = whole & part if name == "all" else whole | part
            return whole
        return self.leaf(wanted, where)

    def leaf(self, wanted: dict[str, Any], where: str) -> Q:
        self.count += 1
        if self.count > MAX_CONDITIONS:
            raise BadFilter(f"more than {MAX_CONDITIONS} conditions; take some out.")
        unknown = wanted.keys() - {"column", "operator", "value"}
        name, operator, value = wanted.get("column"), wanted.get("operator"), wanted.get("value")
        if unknown or not isinstance(name, str) or not isinstance(operator, str):
            raise BadFilter(f"{where}: expected {LEAF_FORM}.")
        if operator not in OPERATORS:
            raise BadFilter(f"{where}: {operator[:20]!r} is no operator; expected {', '.join(OPERATORS)}.")
        try:
            chosen = column(name)
            if operator in {"exists", "missing"}:
                return present(chosen, operator == "exists")
            if isinstance(value, bool):
                value = "true" if value else "false"
            if not isinstance(value, str | int | float):
                raise ValueError("expected a value: text, a number, true or false.")
            return self.condition(chosen, operator, value)
        except ValueError as error:
            raise BadFilter(f"{where}: {error}") from None

    def condition(self, chosen: Column, operator: str, value: str | float) -> Q:
        """Raises ValueError."""
        text = value if isinstance(value, str) else json.dumps(value)
        if operator in {"~", "!~"}:
            return self.matching(chosen, text, wanted=operator == "~")
        if operator == "contains":
            return containing(chosen, text)
        if chosen.name == "tags":
            if operator not in {"=", "!="}:
                raise ValueError("tags take =, !=, contains, ~ and !~.")
            return tagged(text) if operator == "=" else ~tagged(text)
        found = Q()
        for expression, operand in operands_of(chosen, operator, text):
            found |= compared(expression, operator, operand)
        if operator == "!=" and chosen.kind is None and finite(text) is None:
            found |= Q(IsNull(chosen.values[0], False))  # a number is no text
        return found

    def matching(self, chosen: Column, pattern: str, wanted: bool) -> Q:
        """Runs with a value that the pattern is found in, or (not wanted) is not."""
        found = searcher(pattern)
        names = {f"searched_{at}": Cast(value, TextField()) for at, value in enumerate(chosen.values)}
        ids = []
        for row, *values in self.bounded(self.runs.annotate(**names).values_list("id", *names)):
            text = next((value for value in values if value is not None), None)
            if text is None:
                continue
            if chosen.name == "tags":
                text = "\n".join(json.loads(text))
            if (found(text) is not None) == wanted:
                ids.append(row)
        return Q(IdIn(ids))

    def find(self, text: str) -> Q:
        """Runs that every word is in, or between slashes the pattern. Raises ValidationError for `find`."""
        text = text.strip()
        if len(text) > MAX_FIND:
            raise ValidationError({"find": [f"{len(text)} characters; at most {MAX_FIND} are searched for."]})
        try:
            check_text(text, "find")
            if len(text) > 2 and text.startswith("/") and text.endswith("/"):
                return self.find_pattern(text[1:-1])
        except ValueError as error:  # BadPattern and BadJson are
            raise ValidationError({"find": [str(error)]}) from None
        words = text.split()
        if len(words) > MAX_WORDS:
            raise ValidationError({"find": [f"{len(words)} words; at most {MAX_WORDS} are searched for."]})
        wanted = Q()
        for word in words:
            wanted &= holding(word)
        return wanted

    def find_pattern(self, pattern: str) -> Q:
        found = searcher(pattern)
        maps = {"tags_text": Cast("tags", TextField()), "config_text": Cast("config", TextField())}
        rows = self.runs.annotate(**maps).values_list("id", "name", "code", "state", *maps)
        return Q(IdIn(row for row, *parts in self.bounded(rows) if found(lines_of(*parts)) is not None))

    def bounded(self, rows: QuerySet) -> Iterator[tuple[Any, ...]]:
        """The rows, until they are too many for a pattern. Raises ValueError with what to do."""
        characters = 0
        for number, row in enumerate(rows.order_by().iterator(chunk_size=2000), 1):
            characters += sum(len(part) for part in row if isinstance(part, str))
            if number > MAX_SEARCHED_RUNS or characters > MAX_SEARCHED_CHARACTERS:
                raise ValueError(
                    f"a pattern is searched in at most {MAX_SEARCHED_RUNS:,} runs and "
                    f"{MAX_SEARCHED_CHARACTERS // 10**6} million characters, and here are more; ask for one "
                    "experiment, or for words instead."
                )
            yield row


def searcher(pattern: str):
    """The search of a pattern over bytes or text. Raises ValueError."""
    try:
        return compiled(pattern).search
    except BadPattern as error:
        raise ValueError(str(error)) from None


def present(chosen: Column, wanted: bool) -> Q:
    if chosen.name == "tags":
        return ~Q(tags=[]) if wanted else Q(tags=[])
    found = Q()
    for value in chosen.values:
        found |= Q(IsNull(value, False))
    return found if wanted else ~found


def containing(chosen: Column, text: str) -> Q:
    check_text(text, "value")
    found = Q()
    for at, value in enumerate(chosen.values):
        if at == 0 and chosen.kind not in {None, str}:
            raise ValueError(f"{chosen.name} is no text; compare it instead.")
        if chosen.name == "tags":
            for form in {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}:
                found |= Q(Contains(value, form))
        elif chosen.kind is str or at == len(chosen.values) - 1:
            found |= Q(Contains(value, text))
    return found


class Contains(Func):
    """Whether a text is in another, whatever their case (of ASCII letters alone on SQLite)."""

    output_field = BooleanField()
    template = "(%(expressions)s)"

    def __init__(self, text: Any, part: str):
        super().__init__(text)
        self.part = part

    def _constructor_arguments(self) -> tuple[Any, ...]:
        return (self.source_expressions[0], self.part)

    def as_sql(self, compiler, connection, *_: Any, **__: Any):
        text, params = compiler.compile(self.source_expressions[0])
        like = "ILIKE" if connection.vendor == "postgresql" else "LIKE"
        escaped = self.part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{text} {like} %s ESCAPE '\\'", [*params, f"%{escaped}%"]


def tagged(tag: str) -> Q:
    """JSON containment is PostgreSQL's alone. As text, a whole tag is its quoted form: quotes inside others are
    escaped. SQLite keeps non-ASCII escaped, PostgreSQL does not.
    """
    check_text(tag, "value")
    text = Cast("tags", TextField())
    return Q(Contains(text, json.dumps(tag))) | Q(Contains(text, json.dumps(tag, ensure_ascii=False)))


def holding(word: str) -> Q:
    """A word in the name, the code, the state, a tag, a setting; `lr=0.1` means the setting's value."""
    found = Q(name__icontains=word) | Q(code=word) | Q(state=word.lower()) | Q(notes__icontains=word)
    forms = {json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1]}
    tags, config = Cast("tags", TextField()), Cast("config", TextField())
    for form in forms:
        found |= Q(Contains(tags, form)) | Q(Contains(config, form))
        name, equals, value = form.partition("=")
        if equals and name:
            found |= Q(Contains(config, f'{name}": {value}')) | Q(Contains(config, f'{name}": "{value}'))
    return found


def lines_of(name: str, code: str, state: str, tags: str, config: str) -> str:
    """What a pattern is searched in: a line for each part, settings as `path=value`."""
    parts = [name, code, state, *map(str, msgspec.json.decode(tags))]
    parts += [f"{path}={value}" for path, value in settings_of(config)]
    return "\n".join(parts)


def settings_of(config: str) -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of each setting in a run's config as JSON."""
    waiting = [("", msgspec.json.decode(config))]
    while waiting:
        prefix, inside = waiting.pop()
        for name, value in inside.items():
            path = f"{prefix}.{name}" if prefix else name
            if isinstance(value, dict) and value:
                waiting.append((path, value))
            else:
                yield path, value if isinstance(value, str) else msgspec.json.encode(value).decode()
