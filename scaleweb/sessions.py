"""Sessions of people who log in again in another tab while the pages of the old session still ask."""

from django.conf import settings
from django.contrib.sessions import middleware
from django.http import HttpRequest, HttpResponse


class SessionMiddleware(middleware.SessionMiddleware):
    """Django's, but for one thing: only who logs out loses the cookie.

    Django deletes the cookie of a session that is over with whatever it answers. What set out with the old cookie (a
    poll, a change that somebody asked for), and is answered after the person has logged in elsewhere, would delete the
    new one.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        answered: HttpResponse = super().process_response(request, response)
        cookie = answered.cookies.get(settings.SESSION_COOKIE_NAME)
        leaving = request.resolver_match is not None and request.resolver_match.url_name == "logout"
        if cookie is not None and not cookie.value and not leaving:
            del answered.cookies[settings.SESSION_COOKIE_NAME]
        return answered
