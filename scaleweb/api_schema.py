"""The OpenAPI document: beside what each address gives, how it refuses."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer):
    """Every refusal has this shape."""

    detail = serializers.CharField(help_text="What was wrong, in one sentence.")
    # The API's word for them hides the serializer's own attribute from the type checker alone.
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        help_text='Sentences by field, "points[3].step" for what is inside of one; empty where no field is at fault.',
    )


WORDS = {
    400: "The request is wrong; `fields` says where.",
    401: "Not logged in, or the token is unknown, expired or revoked.",
    403: "The role does not suffice.",
    404: "Not there, or in a project where you have no role.",
    409: "Right in itself, but too late or too early: the state has moved on.",
    413: "The body is larger than 8 MiB.",
    415: "The body is not application/json.",
}


class Schema(AutoSchema):
    def refusals(self) -> list[int]:
        in_path = "{" in self.path
        has_body = self.method in {"POST", "PUT", "PATCH"}
        codes = [401]
        if has_body or self.method == "DELETE" or not in_path or self.filters():
            codes.append(400)
        if has_body:
            codes += [413, 415]
        if has_body or self.method == "DELETE" or in_path:
            codes.append(403)
        if in_path:
            codes.append(404)
            if has_body or self.method == "DELETE":
                codes.append(409)
        return sorted(codes)

    def filters(self) -> bool:
        return self._is_list_view() or any(parameter["in"] == "query" for parameter in self._get_parameters())

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction=direction)
        for code in self.refusals():
            refusal = OpenApiResponse(ErrorSerializer, description=WORDS[code])
            media = ["application/json"]
            bodies.setdefault(
                str(code), self._get_response_for_code(refusal, str(code), media, direction=direction)
            )
        return bodies
