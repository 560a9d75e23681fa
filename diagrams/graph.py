"""What is drawn, as a value: states and edges with all that a picture or a table says of them."""

from __future__ import annotations

from attrs import evolve, field, frozen

from ..errors import DiagramError
from ..statemachine import Change, Edge, Kind, Lifecycle, Role, Stage


@frozen(kw_only=True)
class Node:
    """A state in a picture."""

    name: str
    group: str
    #: None: a history names the state, but the lifecycle does not know it.
    role: Role | None
    #: The stage in which it is the queued or the working state.
    stage: str | None = None
    #: A neighbour of what was asked for: drawn lightly.
    light: bool = False
    #: Stands for a whole stage: its queued and its working state.
    whole_stage: Stage | None = None
    #: What else is written on it.
    notes: tuple[str, ...] = ()
    #: The state a task is in.
    now: bool = False
    #: In the comparison of two lifecycles: what became of it.
    change: Change | None = None


@frozen(kw_only=True)
class Arrow:
    """An edge in a picture."""

    event: str
    source: str
    #: None: internal, the task stays where it is.
    target: str | None
    guard: str | None = None
    #: What the guard asks: the first line of its docstring.
    guard_about: str | None = None
    kind: Kind
    stored: bool = True
    light: bool = False
    #: One of the many ways into the removal: pictures draw them as one arrow.
    folded: bool = False
    #: What else is written on it.
    notes: tuple[str, ...] = ()
    #: In the comparison of two lifecycles: what became of it.
    change: Change | None = None


@frozen(kw_only=True)
class Graph:
    """States and edges, in the order of their declaration."""

    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    stages: tuple[Stage, ...] = ()
    #: The group or stage that was asked for; None: everything.
    only: str | None = None
    #: Says where the folded arrows come from.
    folded_from: str | None = None
    #: Lines above the picture.
    caption: tuple[str, ...] = ()
    #: A task's walk: its steps, oldest first.
    steps: tuple[Step, ...] | None = None
    #: Of two lifecycles: each state and edge says what became of it.
    is_comparison: bool = False

    @property
    def drawn(self) -> tuple[Arrow, ...]:
        """The arrows that a picture draws one by one."""
        return tuple(arrow for arrow in self.arrows if not arrow.folded)

    @property
    def folded(self) -> tuple[Arrow, ...]:
        return tuple(arrow for arrow in self.arrows if arrow.folded)


@frozen(kw_only=True)
class Step:
    """One change of state of a task."""

    #: Unix seconds.
    time: float
    #: Seconds since the task was made.
    after_s: float
    event: str
    source: str
    target: str
    message: str | None = field(default=None)


def graph_of(lifecycle: Lifecycle, only: str | None = None) -> Graph:
    """The whole lifecycle, or one group or stage of it with its neighbours.

    Args:
        lifecycle: Any, also an integrator's.
        only: The name of a group or of a stage; where both have the name, the group is meant.

    Raises:
        DiagramError: There is no such group or stage.
        LifecycleError: The lifecycle is not whole.
    """
    lifecycle.check()
    core = _core(lifecycle, only)
    arrows = _arrows(lifecycle)
    if only is not None:
        arrows = tuple(arrow for arrow in arrows if {arrow.source, arrow.target} & core)
    folded = {arrow.source for arrow in arrows if arrow.folded}
    if len(folded) < 2:
        arrows, folded = tuple(evolve(arrow, folded=False) for arrow in arrows), set()
    shown = core | {name for a in arrows if not a.folded for name in (a.source, a.target) if name}
    if folded:
        shown.add(lifecycle.removing)
    return Graph(
        nodes=tuple(node for node in _nodes(lifecycle, core) if node.name in shown),
        arrows=tuple(evolve(arrow, light=arrow.source not in core) for arrow in arrows),
        stages=lifecycle.stages if only is None else _stages_in(lifecycle, core),
        only=only,
        folded_from=_sources_text(lifecycle, only, core, folded) if folded else None,
    )


def _core(lifecycle: Lifecycle, only: str | None) -> set[str]:
    """The names of the states that were asked for."""
    if only is None:
        return {state.name for state in lifecycle.states}
    core = {state.name for state in lifecycle.states if state.group == only}
    for stage in lifecycle.stages:
        if not core and stage.name == only:
            core = {stage.queued, stage.working}
    if not core:
        groups = dict.fromkeys(state.group for state in lifecycle.states)
        names = dict.fromkeys([*groups, *(stage.name for stage in lifecycle.stages)])
        raise DiagramError(f"there is no group or stage {only!r}: choose one of {', '.join(names)}")
    return core


def _stages_in(lifecycle: Lifecycle, core: set[str]) -> tuple[Stage, ...]:
    return tuple(stage for stage in lifecycle.stages if {stage.queued, stage.working} & core)


def _nodes(lifecycle: Lifecycle, core: set[str]) -> list[Node]:
    stages = {name: s.name for s in lifecycle.stages for name in (s.queued, s.working)}
    return [
        Node(
            name=state.name,
            group=state.group,
            role=state.role,
            stage=stages.get(state.name),
            light=state.name not in core,
        )
        for state in lifecycle.states
    ]


def _arrows(lifecycle: Lifecycle) -> tuple[Arrow, ...]:
    return tuple(evolve(arrow_of(edge), folded=folds(lifecycle, edge)) for edge in lifecycle.edges)


def arrow_of(edge: Edge) -> Arrow:
    about = (getattr(edge.guard, "__doc__", None) or "").strip().splitlines()
    return Arrow(
        event=edge.event,
        source=edge.source,
        target=edge.target,
        guard=edge.guard_name,
        guard_about=about[0].strip() if about else None,
        kind=edge.kind,
        stored=edge.stored,
    )


def folds(lifecycle: Lifecycle, edge: Edge) -> bool:
    """Every state has a way into the removal; only where it follows by itself is it drawn."""
    passing = lifecycle.role(edge.source) is Role.PASSING
    plain = edge.guard is None and edge.event == "remove"
    return plain and edge.target == lifecycle.removing and not passing


def _sources_text(lifecycle: Lifecycle, only: str | None, core: set[str], folded: set[str]) -> str:
    passing = {state.name for state in lifecycle.states if state.role is Role.PASSING}
    if only is not None and core - passing <= folded <= core:
        return f"every state of {only}"
    others = [s.name for s in lifecycle.states if s.name not in folded | passing]
    if only is None or lifecycle.removing in core:
        return f"every state but {', '.join(others)}"
    return ", ".join(s.name for s in lifecycle.states if s.name in folded)


def overview_of(lifecycle: Lifecycle) -> Graph:
    """How tasks get through: each stage as one box, without failures and what follows on them."""
    lifecycle.check()
    stages = {name: s for s in lifecycle.stages for name in (s.queued, s.working)}
    failed = {state.name for state in lifecycle.states if state.role is Role.FAILED}
    nodes = []
    for node in _nodes(lifecycle, _core(lifecycle, None)):
        stage = stages.get(node.name)
        if stage is None and node.name not in failed:
            nodes.append(node)
        elif stage is not None and stage.queued == node.name:
            nodes.append(evolve(node, whole_stage=stage))
    arrows = []
    for arrow in _arrows(lifecycle):
        inside = arrow.source in stages and stages.get(arrow.target or "") is stages[arrow.source]
        beside = arrow.kind in {Kind.RECOVERY, Kind.RETRY} or {arrow.source, arrow.target} & failed
        if inside or beside or arrow.folded:
            continue
        ends = [
            stages[end].queued if end in stages else end for end in (arrow.source, arrow.target)
        ]
        arrows.append(evolve(arrow, source=ends[0], target=ends[1]))
    reached = {name for arrow in arrows for name in (arrow.source, arrow.target)}
    return Graph(
        nodes=tuple(node for node in nodes if node.name in reached),
        arrows=tuple(arrows),
        stages=lifecycle.stages,
        caption=("Left out: failures, recovery, retries, and that every state can be removed.",),
    )
