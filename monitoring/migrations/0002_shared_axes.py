"""Steps and times that several keys share are kept once."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="SeriesAxis",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("source", models.CharField(db_index=True, max_length=200)),
                ("users", models.IntegerField()),
                ("body", models.BinaryField()),
            ],
        ),
    ]
