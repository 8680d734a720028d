from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("training", "0019_giving_way")]

    operations = [
        migrations.AlterModelOptions(
            name="jobdependency", options={"ordering": ["id"], "verbose_name_plural": "job dependencies"}
        ),
        migrations.AlterModelOptions(
            name="workingcopy", options={"ordering": ["-id"], "verbose_name_plural": "working copies"}
        ),
    ]
