"""A task's own way through its lifecycle."""

from __future__ import annotations

from datetime import UTC, datetime

from ..statemachine import HistoryEntry, Kind, Lifecycle, Role, Task
from .graph import Arrow, Graph, Node, Step
from .text import shortened

#: What is longer than the calendar is no time that anybody could read.
_CALENDAR_S = 10_000 * 366 * 86400
#: More steps than this along one edge are counted, not listed.
_LISTED_STEPS = 4
_MESSAGE_LENGTH = 44


def walk(task: Task, lifecycle: Lifecycle) -> Graph:
    """The states a task went through, the steps numbered and timed, and where it is now.

    Times count from the making of the task. A history keeps the last 50 steps; the picture says
    where earlier ones are gone. States and edges that the lifecycle does not know (the history may
    be older than it) are drawn too.
    """
    start = _start(task, lifecycle)
    steps = tuple(_step(entry, start) for entry in task.history)
    names = dict.fromkeys(name for step in steps for name in (step.source, step.target))
    names[task.state] = None
    known = [state.name for state in lifecycle.states if state.name in names]
    nodes = [_node(lifecycle, name, task, steps) for name in known]
    nodes += [_node(lifecycle, name, task, steps) for name in names if name not in lifecycle]
    return Graph(
        nodes=tuple(nodes),
        arrows=tuple(_arrows(lifecycle, steps)),
        stages=tuple(s for s in lifecycle.stages if {s.queued, s.working} & set(names)),
        caption=_caption(task, lifecycle, start),
        steps=steps,
    )


def _start(task: Task, lifecycle: Lifecycle) -> float:
    """When the task was made; the history is finer than the record's whole seconds."""
    first = task.history[0] if task.history else None
    if first is not None and (first.source == lifecycle.initial or not task.initialization_time):
        return first.time
    return float(task.initialization_time or 0)


def _step(entry: HistoryEntry, start: float) -> Step:
    return Step(
        time=entry.time,
        after_s=round(entry.time - start, 3),
        event=entry.event,
        source=entry.source,
        target=entry.target,
        message=entry.message,
    )


def _node(lifecycle: Lifecycle, name: str, task: Task, steps: tuple[Step, ...]) -> Node:
    state = lifecycle.state(name) if name in lifecycle else None
    stages = {own: s.name for s in lifecycle.stages for own in (s.queued, s.working)}
    now = name == task.state
    since = f"now, since {offset_text(steps[-1].after_s)}" if steps else "now"
    return Node(
        name=name,
        group="unknown" if state is None else state.group,
        role=None if state is None else state.role,
        stage=stages.get(name),
        now=now,
        notes=(since,) if now else (),
    )


def _arrows(lifecycle: Lifecycle, steps: tuple[Step, ...]) -> list[Arrow]:
    taken: dict[tuple[str, str, str], list[tuple[int, Step]]] = {}
    for number, step in enumerate(steps, 1):
        taken.setdefault((step.source, step.event, step.target), []).append((number, step))
    return [
        Arrow(
            event=event,
            source=source,
            target=target,
            kind=_kind(lifecycle, source, event, target),
            notes=_notes(numbered),
        )
        for (source, event, target), numbered in taken.items()
    ]


def _kind(lifecycle: Lifecycle, source: str, event: str, target: str) -> Kind:
    kinds = [e.kind for e in lifecycle.edges_from(source, event) if e.target == target]
    return kinds[0] if kinds else Kind.ADDED


def _notes(numbered: list[tuple[int, Step]]) -> tuple[str, ...]:
    lines = []
    for number, step in numbered[-_LISTED_STEPS:]:
        lines.append(f"{number}.  {offset_text(step.after_s)}")
        if step.message:
            lines.append(f"“{shortened(step.message, _MESSAGE_LENGTH)}”")
    more = len(numbered) - _LISTED_STEPS
    return (f"{more} times before", *lines) if more > 0 else tuple(lines)


def _caption(task: Task, lifecycle: Lifecycle, start: float) -> tuple[str, ...]:
    lines = [f"Task {task.id}", f"Made {utc_text(start)}; times count from there."]
    if task.history and task.history[0].source != lifecycle.initial:
        lines.append("The steps before the first one shown are no longer recorded.")
    if task.state in lifecycle and lifecycle.role(task.state) is Role.FAILED and task.message:
        lines.append(f"It stopped with: {shortened(task.message, 80)}")
    return tuple(lines)


def utc_text(time: float) -> str:
    """Unix seconds as date and time; out of the calendar, the number."""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{time} s"


def offset_text(seconds: float) -> str:
    """+1.2 s, +3 min 12 s, +2 h 5 min 1 s, +1 d 3 h 0 min; a clock set back gives a minus."""
    sign, rest = ("-", -seconds) if seconds < 0 else ("+", seconds)
    if rest < 59.95:
        return f"{sign}{rest:.1f} s"
    if rest > _CALENDAR_S:
        return f"{sign}{rest:g} s"
    units = []
    whole = round(rest)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, whole = divmod(whole, size)
        if number or units:
            units.append(f"{number} {unit}")
    return sign + " ".join(units[:3])
