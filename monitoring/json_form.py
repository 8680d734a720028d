"""JSON in the admin's forms, as strict as the API's bodies."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from .api.plain_json import BadJson, check
from .api.strict import kind_of


class JsonField(forms.JSONField):
    """A JSON object or list without what a database or a browser cannot hold: NaN, NUL, numbers past 2^53."""

    kind: type = dict
    words = "a JSON object, such as {}"

    def __init__(self, **options: Any):
        super().__init__(**({"required": False} | options))

    def bound_data(self, data: Any, initial: Any) -> Any:
        # Shown again as it was typed: half a surrogate pair, once read, is no text that a page can carry.
        return InvalidJSONInput(data) if isinstance(data, str) else super().bound_data(data, initial)

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        if found is None:
            return self.kind()  # an empty box
        if not isinstance(found, self.kind):
            raise ValidationError(f"Expected {self.words}, got {kind_of(found)}.")
        try:
            check(found)
        except BadJson as error:
            raise ValidationError(f"{error.path or 'The value'} {error}.") from None
        return found


class ListField(JsonField):
    kind = list
    words = "a JSON list, such as []"


class NodeForm(forms.ModelForm):
    labels = JsonField(help_text='A JSON object, such as {"rack": "a1"}.')
