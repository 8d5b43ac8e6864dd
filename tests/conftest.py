"""What holds for every test: properties have no deadline, for two cores are shared with whatever else runs."""

from hypothesis import HealthCheck, settings

settings.register_profile("valise", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("valise")
