from django.apps import AppConfig


class ControlConfig(AppConfig):
    name = "control"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import needs, notices  # noqa: F401  enter what they know
