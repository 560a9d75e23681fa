"""In CI the examples are few and the same each time; `-m long` looks for new ones."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "musictasks",
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# For the seeded bugs: that an example is found counts, not how small it can be made.
settings.register_profile(
    "unshrunk",
    settings.get_profile("musictasks"),
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("musictasks")
