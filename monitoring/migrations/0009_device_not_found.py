from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0008_cordon_and_drain")]

    operations = [
        migrations.AddField(
            model_name="device", name="not_found_at", field=models.DateTimeField(blank=True, null=True)
        ),
    ]
