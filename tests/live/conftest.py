import pytest

from tests.support.domain import a_member, a_project, a_run
from tests.support.fixtures import broker, live_site  # noqa: F401


@pytest.fixture
def run(live_site):  # noqa: F811
    return a_run()


@pytest.fixture
def headers(live_site, run):  # noqa: F811
    return live_site.login(a_member(a_project(), "vera", "viewer"))
