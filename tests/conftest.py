"""What holds for every test."""

from hypothesis import HealthCheck, settings

# Time is measured in benchmarks/: a busy machine must not fail a property.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
