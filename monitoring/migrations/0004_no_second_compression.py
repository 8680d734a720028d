"""PostgreSQL tries to compress large values: batches are random digits, and chunks are compressed already."""

from django.conf import settings
from django.db import migrations

COLUMNS = (
    ("seriesbatch", "body"),
    ("serieschunk", "columns"),
    ("seriesaxis", "body"),
    ("seriesrollup", "body"),
)


def set_storage(kind):
    def change(apps, schema_editor):
        connection = schema_editor.connection
        if connection.vendor == "postgresql" and connection.alias == settings.SERIES_DATABASE:
            for table, column in COLUMNS:
                schema_editor.execute(f"ALTER TABLE monitoring_{table} ALTER COLUMN {column} SET STORAGE {kind}")

    return change


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0003_rollups_apart")]

    operations = [migrations.RunPython(set_storage("EXTERNAL"), set_storage("EXTENDED"))]
