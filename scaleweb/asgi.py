"""The web process: the link and its raw routes first, then live websockets, then Django."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from .routing import build  # noqa: E402  needs Django's apps loaded

application = build(django_application)
