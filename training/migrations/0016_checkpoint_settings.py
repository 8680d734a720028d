from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("training", "0015_submissions"),
    ]

    operations = [
        migrations.AddField(
            model_name="checkpoint",
            name="settings",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
