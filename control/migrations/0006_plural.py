from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("control", "0005_weigh_verdicts")]

    operations = [
        migrations.AlterModelOptions(
            name="belieftally",
            options={"ordering": ["policy", "action", "context"], "verbose_name_plural": "belief tallies"},
        ),
    ]
