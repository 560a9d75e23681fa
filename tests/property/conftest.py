"""In CI the examples are few and the same each time; `-m long` looks for new ones."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "musictasks",
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("musictasks")
