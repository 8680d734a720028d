"""Sends the series tables to the series database, and everything else to the default one."""

from django.conf import settings

SERIES_MODELS = {
    "logchunk", "seriesaxis", "seriesbatch", "serieschunk", "serieskey", "seriesrollup", "seriessession",
}  # fmt: skip


def is_series(app_label: str, model_name: str | None) -> bool:
    return app_label == "monitoring" and model_name in SERIES_MODELS


class SeriesRouter:
    def db_for_read(self, model, **hints) -> str | None:
        if is_series(model._meta.app_label, model._meta.model_name):
            return settings.SERIES_DATABASE
        return None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **hints) -> bool | None:
        if is_series(app_label, model_name):
            return db == settings.SERIES_DATABASE
        if db == "series":
            return False
        return None
