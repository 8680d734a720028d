"""Settings of the test suite: a data folder of its own, one per worker process."""

import os
import tempfile

worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
os.environ.setdefault("SCALEWEB_HOME", tempfile.mkdtemp(prefix=f"scaleweb-test-{worker}-"))

from scaleweb.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AXES_ENABLED = False
