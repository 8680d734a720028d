"""One shape for every error the API answers with."""

from rest_framework.views import exception_handler


def api_exception_handler(exception, context):
    return exception_handler(exception, context)
