"""The OpenAPI document: complete, valid, and without a warning."""

import pytest
import yaml
from django.core.management import call_command

pytestmark = pytest.mark.django_db(databases="__all__")


def test_the_schema_is_valid_and_made_without_a_warning(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))


def test_every_api_address_is_in_the_schema(viewer):
    from .test_access import API

    schema = yaml.safe_load(viewer.get("/api/schema/").content)
    documented = {(path, method.upper()) for path, methods in schema["paths"].items() for method in methods}
    plain = {path.split("{")[0] for path, _ in documented}
    for route, methods in API.items():
        start = "/api/v1/" + route.split("<")[0]
        assert start in plain, route
        assert methods.keys() <= {method for path, method in documented if path.startswith(start)}


def test_the_schemas_browser_is_served_without_inline_scripts(viewer):
    page = viewer.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
    script = viewer.get("/api/docs/?script=").content.decode()
    assert "SwaggerUIBundle" in script
