"""The kit with which integrators (and our own tests) prove a lifecycle and its handlers.

`prove` needs nothing but musictasks. The strategies and `LifecycleStateMachine` need hypothesis,
the fixtures pytest: `pip install 'musictasks[testing]'`. Nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .faults import FaultInjector, Killed, Struck
    from .proof import Report, prove
    from .recorder import Recorder, States
    from .stateful import LifecycleStateMachine
    from .stepping import Clock, HeldExecutor, InlineExecutor, SteppedEngine
    from .strategies import events, histories, task_files, tasks

_HOMES = {
    "Clock": "stepping",
    "FaultInjector": "faults",
    "HeldExecutor": "stepping",
    "InlineExecutor": "stepping",
    "Killed": "faults",
    "LifecycleStateMachine": "stateful",
    "Recorder": "recorder",
    "Report": "proof",
    "States": "recorder",
    "SteppedEngine": "stepping",
    "Struck": "faults",
    "events": "strategies",
    "histories": "strategies",
    "prove": "proof",
    "task_files": "strategies",
    "tasks": "strategies",
}
_EXTRAS = {"hypothesis", "pytest"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        raise ImportError(
            f"{__name__}.{name} needs {error.name}: pip install 'musictasks[testing]'"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


__all__ = [
    "Clock",
    "FaultInjector",
    "HeldExecutor",
    "InlineExecutor",
    "Killed",
    "LifecycleStateMachine",
    "Recorder",
    "Report",
    "States",
    "SteppedEngine",
    "Struck",
    "events",
    "histories",
    "prove",
    "task_files",
    "tasks",
]
