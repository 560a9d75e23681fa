"""What all tests share: the kit's own pytest plugin, as integrators have it."""

pytest_plugins = ["musictasks.testing.plugin"]
