"""Plans as the command line makes them: their reasons name options."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import evolve
from musictasks.intake import Plan, Wording
from musictasks.intake import planner as _planner
from musictasks.intake.overrides import Overrides
from musictasks.music import Settings

OPTIONS = Wording("--{}", " ", '--{} "{}"')


def make_plan(
    paths: Iterable[Path], settings: Settings, overrides: Overrides | None = None, **options: Any
) -> Plan:
    overrides = evolve(overrides or Overrides(), wording=OPTIONS)
    return _planner.make_plan(paths, settings, overrides, **options)
