"""The pytest plugin: fixtures for tests of lifecycles and handlers.

Loaded by its entry point in every project that has musictasks installed, so nothing of musictasks
is imported before a test asks for a fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..engine import Engine
    from ..statemachine import Handler, Lifecycle
    from ..uploads import Uploads
    from .faults import FaultInjector
    from .recorder import Recorder
    from .stepping import Clock, SteppedEngine


@pytest.fixture
def musictasks_lifecycle() -> Lifecycle:
    """The lifecycle under test; override it with your own."""
    pytest.fail("override the fixture musictasks_lifecycle: it returns the lifecycle under test")


@pytest.fixture
def musictasks_handlers() -> Mapping[str, Handler]:
    """The handlers, by the name of their stage: none; override it."""
    return {}


@pytest.fixture
def musictasks_settings(tmp_path: Path) -> Any:
    """Engine settings in a temporary directory, without durability, two workers."""
    from ..engine import EngineSettings

    root = tmp_path / "engine"
    return EngineSettings(
        tasks=root / "tasks", uploads=root / "uploads", durability="none", workers=2
    )


@pytest.fixture
def musictasks_opener() -> Callable[..., Engine[Any]]:
    """What opens an engine: `open_engine`; override it if yours is opened by something else."""
    from ..engine import open_engine

    return open_engine


@pytest.fixture
def musictasks_clock() -> Clock:
    """The time of the engine: that of the test's begin, until the test moves it."""
    from .stepping import Clock

    return Clock()


@pytest.fixture
def musictasks_open(
    musictasks_settings: Any,
    musictasks_lifecycle: Lifecycle,
    musictasks_handlers: Mapping[str, Handler],
    musictasks_opener: Callable[..., Engine[Any]],
) -> Iterator[Callable[..., Any]]:
    """Opens engines like `open_engine`, with the fixtures as defaults; closes them at the end."""
    engines: list[Engine[Any]] = []

    def open_one(settings: Any = musictasks_settings, **options: Any) -> Any:
        options = {"lifecycle": musictasks_lifecycle, **options}
        options["handlers"] = {**musictasks_handlers, **options.get("handlers", {})}
        engines.append(musictasks_opener(settings, **options))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.close()


@pytest.fixture
def musictasks_engine(
    musictasks_open: Callable[..., Any], musictasks_clock: Clock
) -> Iterator[Any]:
    """An engine at work in temporary directories; its time is `musictasks_clock`."""
    with musictasks_open(clock=musictasks_clock) as engine:
        yield engine


@pytest.fixture
def musictasks_uploads(musictasks_engine: Engine[Any]) -> Uploads:
    """Receives the uploads of `musictasks_engine`, where its lifecycle takes chunks."""
    from ..uploads import Uploads

    return Uploads(musictasks_engine)


@pytest.fixture
def musictasks_stepped(
    musictasks_settings: Any,
    musictasks_lifecycle: Lifecycle,
    musictasks_handlers: Mapping[str, Handler],
    musictasks_clock: Clock,
    musictasks_opener: Callable[..., Engine[Any]],
) -> Iterator[SteppedEngine]:
    """An engine, started, that the test moves step by step: workers work when the test says so."""
    from .stepping import SteppedEngine

    stepped = SteppedEngine(
        musictasks_settings,
        musictasks_lifecycle,
        musictasks_handlers,
        musictasks_clock,
        musictasks_opener,
    )
    stepped.start()
    yield stepped
    stepped.kill()


@pytest.fixture
def musictasks_recorder(musictasks_engine: Engine[Any]) -> Recorder:
    """What `musictasks_engine` notifies: `recorder.states(task_id) == [...]`."""
    from .recorder import Recorder

    return Recorder(musictasks_engine)


@pytest.fixture
def musictasks_faults() -> Iterator[FaultInjector]:
    """Fails or kills at the n-th file operation, when the test says so; counts them until then."""
    from .faults import FaultInjector

    with FaultInjector().active() as faults:
        yield faults
        faults.clear()


def pytest_assertrepr_compare(op: str, left: Any, right: Any) -> list[str] | None:
    recorder = sys.modules.get(f"{__package__}.recorder")
    if recorder is None or op != "==" or not (isinstance(left, list) and isinstance(right, list)):
        return None
    return recorder.explain(left, right)
