"""Roll-ups move into a table of their own: behind a chunk's points, SQLite reached them through all its pages."""

from django.conf import settings
from django.db import migrations, models


def move(apps, schema_editor):
    if schema_editor.connection.alias == settings.SERIES_DATABASE:
        schema_editor.execute(
            "INSERT INTO monitoring_seriesrollup (id, body) "
            "SELECT id, rollups FROM monitoring_serieschunk WHERE length(rollups) > 0"
        )


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0002_shared_axes")]

    operations = [
        migrations.CreateModel(
            name="SeriesRollup",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("body", models.BinaryField()),
            ],
        ),
        migrations.RunPython(move, migrations.RunPython.noop, hints={"model_name": "seriesrollup"}),
        migrations.RemoveField(model_name="serieschunk", name="rollups"),
    ]
