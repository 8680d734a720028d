from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from monitoring.api import whose

        from .access import live_processes, live_runs

        whose.ask(live_runs, live_processes)
