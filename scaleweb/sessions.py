"""Sessions of people who log in again in another tab while the pages of the old session still ask."""

from django.conf import settings
from django.contrib.sessions import middleware
from django.http import HttpRequest, HttpResponse


class SessionMiddleware(middleware.SessionMiddleware):
    """Django's, but for one thing: the answer to a mere question takes no cookie away.

    Django deletes the cookie of a session that is over with whatever it answers. A poll that set out with the old
    cookie, and is answered after the person has logged in elsewhere, would delete the new one.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        answered: HttpResponse = super().process_response(request, response)
        cookie = answered.cookies.get(settings.SESSION_COOKIE_NAME)
        if request.method in {"GET", "HEAD"} and cookie is not None and not cookie.value:
            del answered.cookies[settings.SESSION_COOKIE_NAME]
        return answered
