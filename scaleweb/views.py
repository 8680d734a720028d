"""The plain pages that Django serves itself, and the door to the single-page application."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_safe

from training.models import ApiToken, TokenKind

INDEX = settings.BASE_DIR / "frontend" / "dist" / "index.html"


class Login(LoginView):
    template_name = "scaleweb/login.html"
    redirect_authenticated_user = True


@never_cache
@require_GET
def login_once(request: HttpRequest, token: str) -> HttpResponse:
    """Log in with a link that works once; whoever comes second is told so.

    GET alone: chat programs and mail filters look at links with HEAD, and would use it up.
    """
    found = ApiToken.find(token, TokenKind.LOGIN)
    # The update asks the database who was first: two clicks on one link open one session.
    won = found is not None and ApiToken.objects.filter(pk=found.pk, revoked_at=None).update(
        revoked_at=timezone.now(), last_used_at=timezone.now()
    )
    user = found.user if found is not None and won else None
    if user is None or not user.is_active:
        detail = _("This link was used already, or its time is over. Log in, or ask for a new link.")
        response = render(
            request, "scaleweb/error.html", {"title": _("Link no longer valid"), "detail": detail}, status=410
        )
    else:
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        response = redirect("/")
    response["Referrer-Policy"] = "no-referrer"
    return response


@lru_cache(maxsize=2)
def page(path: Path, changed: int) -> bytes:
    return path.read_bytes()


@require_safe
@login_required
@ensure_csrf_cookie
def application(request: HttpRequest, **named: object) -> HttpResponse:
    """The front end, which reads its address itself; the cookie is what it sends back with each change."""
    return front_end(request)


@require_safe
def shared(request: HttpRequest) -> HttpResponse:
    """The front end for who has a link to a view and no account. Nobody is told that it was opened from here."""
    response = front_end(request)
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def front_end(request: HttpRequest) -> HttpResponse:
    try:
        content = page(INDEX, INDEX.stat().st_mtime_ns)
    except FileNotFoundError:
        detail = _(
            "The front end is not built here: run `make front`. The API works without it, see /api/docs/."
        )
        return render(
            request, "scaleweb/error.html", {"title": _("No pages yet"), "detail": detail}, status=503
        )
    response = HttpResponse(content)
    # Its name has no hash in it: the browser asks each time, and the assets it names are kept for ever.
    response["Cache-Control"] = "no-cache, private"
    return response
