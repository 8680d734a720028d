"""`manage.py check_node`: whether this host's settings open the database and the broker, each failure in a sentence."""

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from monitoring.live.refused import why


class Command(BaseCommand):
    help = __doc__

    def handle(self, **_: object) -> None:
        try:
            executor = MigrationExecutor(connection)
            pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseError as error:
            raise CommandError(f"the database does not let this host in: {first_line(error)}") from None
        if pending:
            raise CommandError(
                f"the database is older than this host's version: {pending[0][0]} is not applied; update the site first"
            )
        try:
            redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=5).ping()
        except (redis.RedisError, OSError, ValueError) as error:
            raise CommandError(
                f"the broker does not let this host in: {first_line(error)}; {why(error)}"
            ) from None
        self.stdout.write("database and broker let this host in")


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
