"""An engine whose opening is cut off, wherever: the directory is free for the next one."""

from __future__ import annotations

from pathlib import Path

import pytest
from musictasks.engine import EngineSettings, open_engine
from musictasks.statemachine import Edge, Role, StateSpec, bare_lifecycle
from musictasks.testing import FaultInjector, Killed

NOTES = (
    bare_lifecycle()
    .with_state(StateSpec("noted", "task", Role.WAITING))
    .with_edge(Edge(event="note", source="unmade", target="noted"))
)


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    return EngineSettings(tasks=tmp_path / "tasks", uploads=tmp_path / "uploads")


def test_cut_off_at_any_file_operation(settings: EngineSettings, musictasks_faults: FaultInjector):
    """What raises in the middle, an interrupt from the keyboard say, leaves no lock behind."""
    open_engine(settings, NOTES).close()
    musictasks_faults.clear()
    engine = open_engine(settings, NOTES)
    total = musictasks_faults.count
    engine.close()
    assert total > 1
    for at in range(1, total + 1):
        musictasks_faults.kill(at)
        with pytest.raises(Killed):
            open_engine(settings, NOTES)
        musictasks_faults.clear()
        open_engine(settings, NOTES).close()
