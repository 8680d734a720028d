"""A site with the lease that a site has when nobody sets one."""

import pytest

from tests.support.stack import RunningStack

USUAL_LEASE_SECONDS = 10


@pytest.fixture(scope="package")
def usual_site():
    made = RunningStack(SCALEWEB_LEASE_SECONDS=str(USUAL_LEASE_SECONDS)).start()
    yield made
    made.close()
