"""The front end's types are those of the API's schema and of the live frames, and are made from them."""

from typing import Any, Literal, TypedDict

import pytest

from scripts import make_types


def test_the_made_types_are_as_new_as_the_python_they_come_from():
    stale = [
        str(path.relative_to(make_types.TOP))
        for path, text in make_types.made().items()
        if path.read_text() != text
    ]
    assert not stale, f"{stale} differ from what the Python says now: run `make types`"


def schema(components: dict[str, Any], answers: str = "") -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{answers}"}}
    return {
        "paths": {"/x": {"get": {"responses": {"200": {"content": {"application/json": content}}}}}},
        "components": {"schemas": components},
    }


FIELDS = {
    "name": {"type": "string"},
    "kind": {"$ref": "#/components/schemas/KindEnum"},
    "rate": {"type": "number", "nullable": True},
    "more": {},
    "list": {"type": "array", "items": {"type": "integer", "nullable": True}},
    "map": {"type": "object", "additionalProperties": {"type": "number"}},
}


@pytest.mark.parametrize(("answers", "mark"), [("Thing", ""), ("Other", "?")])
def test_an_answer_has_every_field_and_a_question_the_required_ones(answers, mark):
    components = {
        "Thing": {"type": "object", "properties": FIELDS, "required": ["name"]},
        "Other": {"type": "object", "properties": {}},
        "KindEnum": {"enum": ["a", "b", None]},
    }
    made = make_types.api_types(schema(components, answers))
    for line in (
        "name: string;", f"kind{mark}: \"a\" | \"b\" | null;", f"rate{mark}: number | null;", f"more{mark}: unknown;",
        f"list{mark}: (number | null)[];", f"map{mark}: Record<string, number>;",
    ):  # fmt: skip
        assert f"  {line}\n" in made
    assert "KindEnum" not in made


class Inner(TypedDict):
    value: list[float | str]


class Outer(TypedDict):
    type: Literal["outer"]
    pair: tuple[float, str]
    inner: dict[str, Inner]


def test_a_frame_is_told_with_what_is_inside_of_it():
    assert [each.__name__ for each in make_types.typed_inside(Outer)] == ["Inner"]
    hints = {"type": '"outer"', "pair": "[number, string]", "inner": "Record<string, Inner>"}
    assert {name: make_types.frame_type(hint) for name, hint in Outer.__annotations__.items()} == hints


def test_a_field_that_typescript_cannot_tell_is_refused():
    with pytest.raises(KeyError):
        make_types.frame_type(bytes)
