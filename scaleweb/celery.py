"""The Celery application: short messages only, JSON only, early acknowledgement."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")

app = Celery("scaleweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    [
        "monitoring",
        "monitoring.storage",
        "training.jobs",
        "training.media",
        "training.copies",
        "control",
        "alerts",
    ]
)
