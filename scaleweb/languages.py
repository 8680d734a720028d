"""The language of the pages that Django writes itself: the login, passwords, errors, the admin.

Chosen in Settings (the front end keeps it in a cookie for us), else the browser's. Answers to programs stay in English:
the front end knows their sentences, and says them in its own language.
"""

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

FOR_PROGRAMS = ("/api/", "/static/", "/healthz", "/metrics")


class PagesInTheirLanguage(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None:
        if not request.path.startswith(FOR_PROGRAMS):
            translation.activate(translation.get_language_from_request(request))

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if not request.path.startswith(FOR_PROGRAMS):
            response.headers.setdefault("Content-Language", translation.get_language() or "en")
            patch_vary_headers(response, ["Accept-Language", "Cookie"])
            # The thread answers a program next.
            translation.deactivate()
        return response
