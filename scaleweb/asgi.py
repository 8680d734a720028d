"""The web process: the link and its raw routes first, then live websockets, then Django."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")

from django.core.asgi import get_asgi_application
from django.urls import get_resolver

django_application = get_asgi_application()

from .routing import build  # noqa: E402  needs Django's apps loaded

application = build(django_application)

# A full collection walks every object and holds up every request and viewer: 150 ms were seen. What is loaded here
# stays for the life of the process and is never walked again; the rest is walked less often.
get_resolver().url_patterns  # noqa: B018  loads the views
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 20)
