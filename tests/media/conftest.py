from tests.support.fixtures import broker, live_site  # noqa: F401
