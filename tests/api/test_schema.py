"""The OpenAPI document: complete, valid, and without a warning."""

import re

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command

pytestmark = pytest.mark.django_db(databases="__all__")


def test_the_schema_is_valid_and_made_without_a_warning(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))


def test_every_api_address_is_in_the_schema(viewer):
    from .allowed import API

    schema = yaml.safe_load(viewer.get("/api/schema/").content)
    documented = {(path, method.upper()) for path, methods in schema["paths"].items() for method in methods}
    plain = {path.split("{")[0] for path, _ in documented}
    for route, methods in API.items():
        start = "/api/v1/" + route.split("<")[0]
        assert start in plain, route
        assert methods.keys() <= {method for path, method in documented if path.startswith(start)}


WITHOUT_BODY = (
    "/stop", "/requeue", "drain", "cordon", "/acknowledge", "/test", "/approve", "/reject", "/reopen", "/undo",
    "/cancel", "/restore",
)  # fmt: skip


def operations(schema):
    return [
        (f"{method.upper()} {path}", about)
        for path, methods in schema["paths"].items()
        for method, about in methods.items()
    ]


def test_every_address_says_what_it_does_takes_gives_and_how_it_refuses(viewer):
    schema = yaml.safe_load(viewer.get("/api/schema/").content)
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for name, about in operations(schema):
        told = about.get("description", "")
        assert told, f"{name} lacks a docstring"
        assert not told.startswith(
            ("Mixin", "A list of what belongs", "An operator's hand", "A person's word")
        ), name
        codes = set(about["responses"])
        assert "401" in codes, name
        assert ("404" in codes) == ("{" in name), name
        if name.startswith(("POST", "PUT", "PATCH")):
            assert {"400", "403", "413", "415"} <= codes, name
            assert about.get("requestBody") or name.endswith(WITHOUT_BODY), name
        good = [about["responses"][code] for code in codes if code < "300"]
        assert good, name
        assert name.startswith("DELETE") or all(answer.get("content") for answer in good), name
        for code in codes:
            if code >= "400":
                assert about["responses"][code]["content"] == refusal, (name, code)


def test_the_pages_ask_nothing_that_is_not_documented(viewer):
    """What front end code asks for, by the addresses in `frontend/src/api/`."""
    folder = settings.BASE_DIR / "frontend" / "src" / "api"
    asked = "".join((folder / name).read_text() for name in ("index.ts", "alerts.ts"))
    calls = re.findall(
        r"""\b(?:ask|list|post|patch|page)(?:<[^(]*>)?\((?:\w+ \? )?(?:path)?["`]([^"`]+)["`]""", asked
    )
    assert len(calls) > 30
    schema = yaml.safe_load(viewer.get("/api/schema/").content)
    known = {re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1/")) for path in schema["paths"]}
    assert {re.sub(r"\$\{\w+\}", "{}", call) for call in calls} <= known


def test_the_schemas_browser_is_served_without_inline_scripts(viewer):
    page = viewer.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
    script = viewer.get("/api/docs/?script=").content.decode()
    assert "SwaggerUIBundle" in script
