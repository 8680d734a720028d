"""TypeScript types out of the Python definitions: `make types`.

The API's come from its OpenAPI schema, the live frames' from monitoring/live/frames.py. A test compares what this makes
with the files under frontend/src, so that neither side changes alone.
"""

import os
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, is_typeddict

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))  # run as a script, this folder stands there instead

HEAD = "/** Made by `make types` from {source}: change that, not this file. */\n"
PRIMITIVES = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "object": "Record<string, unknown>",
}
PYTHON = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", Any: "unknown"}
FRAMES = (
    "PointsFrame",
    "LinesFrame",
    "OpenLinesFrame",
    "ChangedFrame",
    "LostFrame",
    "SubscribedFrame",
    "PongFrame",
    "ErrorFrame",
)
OF_TOPICS = ("PointsFrame", "LinesFrame", "OpenLinesFrame", "ChangedFrame", "LostFrame")

Schema = Mapping[str, Any]


def api_types(schema: Schema) -> str:
    """One interface or union for each component. An answer has all its fields; a question may leave out what is not
    required. A component of both, such as an experiment, is typed as the answer."""
    components: Mapping[str, Schema] = schema["components"]["schemas"]
    answers = reached(components, of_answers(schema["paths"]))
    out = [HEAD.format(source="the OpenAPI schema")]
    for name, component in sorted(components.items()):
        if name.endswith("Enum") or name.startswith("Paginated"):
            continue  # written where they stand; a page of a list is Page<T> in types.ts
        out.append(declaration(name, component, components, whole=name in answers))
    return "\n".join(out)


def of_answers(paths: Schema) -> Iterator[Schema]:
    for operations in paths.values():
        for operation in operations.values():
            if isinstance(operation, Mapping):
                yield operation.get("responses", {})


def reached(components: Mapping[str, Schema], starts: Iterator[Schema]) -> set[str]:
    """Names of the components that these refer to, however far away."""
    found: set[str] = set()
    waiting: list[Any] = list(starts)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            if "$ref" in node and (name := node["$ref"].rsplit("/", 1)[1]) not in found:
                found.add(name)
                waiting.append(components[name])
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return found


def declaration(name: str, schema: Schema, components: Mapping[str, Schema], whole: bool) -> str:
    if "properties" not in schema:
        return f"export type {name} = {api_type(schema, components)};\n"
    required = schema.get("required", ())
    lines = [f"export interface {name} {{"]
    for field, inner in schema["properties"].items():
        if words := inner.get("description"):
            lines.append(f"  /** {' '.join(words.split()).replace('*/', '')} */")
        optional = "" if field in required or (whole and not inner.get("writeOnly")) else "?"
        lines.append(f"  {field}{optional}: {api_type(inner, components)};")
    return "\n".join([*lines, "}\n"])


def api_type(schema: Schema, components: Mapping[str, Schema]) -> str:
    found = plain_api_type(schema, components)
    return (
        f"{found} | null"
        if schema.get("nullable") and found != "unknown" and "null" not in found.split(" | ")
        else found
    )


def plain_api_type(schema: Schema, components: Mapping[str, Schema]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return api_type(components[name], components) if name.endswith("Enum") else name
    if "enum" in schema:
        return " | ".join(literal(value) for value in schema["enum"])
    for many in ("oneOf", "anyOf", "allOf"):
        if many in schema:
            parts = [api_type(part, components) for part in schema[many]]
            return (" & " if many == "allOf" else " | ").join(dict.fromkeys(parts))
    kind = schema.get("type")
    if kind == "array":
        inner = api_type(schema.get("items", {}), components)
        return f"({inner})[]" if " " in inner and "<" not in inner else f"{inner}[]"
    if kind == "object" and schema.get("properties"):
        fields = (f"{name}: {api_type(inner, components)}" for name, inner in schema["properties"].items())
        return f"{{ {'; '.join(fields)} }}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"Record<string, {api_type(schema['additionalProperties'], components)}>"
    return PRIMITIVES.get(kind or "", "unknown")


def literal(value: object) -> str:
    return "null" if value is None else f'"{value}"' if isinstance(value, str) else str(value).lower()


def frame_types(module: types.ModuleType) -> str:
    """The frames of /ws/live; those of a topic carry its name and their number."""
    out = [HEAD.format(source="monitoring/live/frames.py")]
    inner = sorted(
        {each.__name__: each for name in FRAMES for each in typed_inside(getattr(module, name))}.items()
    )
    for name, shape in [*inner, *((name, getattr(module, name)) for name in FRAMES)]:
        lines = [f"export interface {name} {{"]
        hints = typing.get_type_hints(shape)
        lines += [f"  {field}: {frame_type(hint)};" for field, hint in hints.items()]
        lines += ["  topic: string;", "  n: number;"] if name in OF_TOPICS else []
        out.append("\n".join([*lines, "}\n"]))
    out.append(f"export type TopicFrame = {' | '.join(OF_TOPICS)};")
    out.append(
        f"export type ServerFrame = TopicFrame | {' | '.join(name for name in FRAMES if name not in OF_TOPICS)};\n"
    )
    return "\n".join(out)


def typed_inside(shape: Any) -> Iterator[type]:
    for hint in typing.get_type_hints(shape).values():
        for each in (hint, *get_args(hint)):
            if is_typeddict(each):
                yield each
                yield from typed_inside(each)


def frame_type(hint: Any) -> str:
    if is_typeddict(hint):
        return str(hint.__name__)
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(literal(value) for value in inside)
    if origin is list:
        item = frame_type(inside[0])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if origin is tuple:
        return f"[{', '.join(map(frame_type, inside))}]"
    if origin is dict:
        return f"Record<{frame_type(inside[0])}, {frame_type(inside[1])}>"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(frame_type, inside))
    return PYTHON[hint]


def made() -> dict[Path, str]:
    """Each file and what should be in it. Django must be set up."""
    from drf_spectacular.generators import SchemaGenerator

    from monitoring.live import frames

    schema = SchemaGenerator().get_schema(request=None, public=True)
    return {
        TOP / "frontend/src/api/schema.made.ts": api_types(schema),
        TOP / "frontend/src/live/frames.made.ts": frame_types(frames),
    }


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")
    import django

    django.setup()
    for path, text in made().items():
        path.write_text(text)
        print(path.relative_to(TOP))


if __name__ == "__main__":
    main()
