"""Request bodies as strict JSON: no NaN, nothing that a database or browser cannot hold, nothing endless."""

import json
import math
from typing import Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.parsers import JSONParser

from scaleweb_sdk.protocol import MAX_STEP

MAX_DEPTH = 32
LONGEST_WHOLE = 300  # Python refuses to read whole numbers of more than 4,300 digits
SHOWN_PATH = 200


class TooLarge(APIException):
    status_code = 413
    default_code = "too_large"


class BadJson(ValueError):
    """The value cannot be kept; `path` says where in the body, the message what would do."""

    def __init__(self, path: str, message: str):
        super().__init__(message)
        self.path = path[:SHOWN_PATH]


class StrictJSONParser(JSONParser):
    """JSON by the letter of RFC 8259, of bounded size and depth.

    Refused with the field's name: NaN and infinities (1e999 too), whole numbers beyond 2^53, NUL characters,
    halves of surrogate pairs, more than 32 levels.
    """

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(most + 1)
        if len(body) > most:
            raise TooLarge(f"the body is larger than {most} bytes; send less at a time")
        try:
            # RFC 8259: JSON between systems is UTF-8, whatever charset the header names.
            value = json.loads(body.decode(), parse_int=whole, parse_constant=float)
        except UnicodeDecodeError:
            raise ParseError("the body is not UTF-8 text; JSON is sent as UTF-8") from None
        except RecursionError:
            raise ParseError(f"the body is nested deeper than {MAX_DEPTH} levels") from None
        except ValueError as error:
            raise ParseError(f"the body is not valid JSON: {error}"[:500]) from None
        try:
            check(value)
        except BadJson as error:
            field = error.path.split(".")[0].split("[")[0] or "non_field_errors"
            # The answer's sentence begins with the field; what is inside of it is named here.
            words = str(error) if error.path == field else f"{error.path} {error}"
            raise ValidationError({field: [words]}) from None
        return value


def whole(digits: str) -> int | float:
    """Thousands of digits are refused as beyond 2^53 where they stand, like any other number too large."""
    return int(digits) if len(digits) <= LONGEST_WHOLE else float(digits)


def check(value: Any, path: str = "", depth: int = 0) -> None:
    """Raise BadJson unless every part of the value survives both databases and a browser unchanged."""
    kind = type(value)
    if kind is str:
        check_text(value, path)
    elif kind is float:
        if not math.isfinite(value):
            raise BadJson(
                path,
                f"is {spelt(value)}, which JSON has no number for; expected a finite number within float64",
            )
    elif kind is int:
        if not -MAX_STEP <= value <= MAX_STEP:
            raise BadJson(path, "is beyond 2^53, where whole numbers stop being exact; send it as a string")
    elif kind is dict or kind is list:
        if depth >= MAX_DEPTH:
            raise BadJson(path, f"is nested deeper than {MAX_DEPTH} levels")
        if kind is dict:
            for name, item in value.items():
                check_text(name, path)
                check(item, f"{path}.{name}" if path else name, depth + 1)
        else:
            for place, item in enumerate(value):
                check(item, f"{path}[{place}]", depth + 1)


def spelt(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity or beyond" if value > 0 else "-Infinity or beyond"


def check_text(text: str, path: str) -> None:
    if text.isascii():
        if "\x00" in text:
            raise BadJson(path, "contains a NUL character, which cannot be stored")
        return
    if "\x00" in text:
        raise BadJson(path, "contains a NUL character, which cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadJson(
            "" if path == text else path, "contains half of a surrogate pair, which is no text"
        ) from None
