from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0007_passed_over'),
    ]

    operations = [
        migrations.RenameField(
            model_name='node',
            old_name='drained',
            new_name='cordoned',
        ),
        migrations.AddField(
            model_name='node',
            name='draining',
            field=models.BooleanField(default=False),
        ),
        migrations.AddConstraint(
            model_name='node',
            constraint=models.CheckConstraint(condition=models.Q(('draining', False), ('cordoned', True), _connector='OR'), name='what_drains_is_cordoned'),
        ),
    ]
