"""Lifecycles: deriving leaves the origin alone, and a bad declaration says where it is bad."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from musictasks.errors import LifecycleError
from musictasks.statemachine import MUSIC, Edge, Lifecycle, MusicTask, Role, Stage, StateSpec

BEFORE = pickle.dumps(MUSIC)
STORABLE = sorted(MUSIC.storable)


def never(task: object, payload: object) -> bool:
    return False


@st.composite
def derivations(draw: st.DrawFn) -> Callable[[Lifecycle], Lifecycle]:
    """One step of a derivation."""
    name = draw(st.from_regex(r"own[a-z]{1,6}", fullmatch=True))
    source, target = draw(st.sampled_from(STORABLE)), draw(st.sampled_from(STORABLE))
    stage = Stage(
        name, group="own", queued=f"start{name}", working=name, succeeded=target, failed=f"{name}X"
    )
    return draw(
        st.sampled_from(
            [
                lambda one: one.with_state(StateSpec(name, "own", Role.WAITING)),
                lambda one: one.with_edge(Edge(event=name, source=source, target=target)),
                lambda one: one.with_stage(stage),
                lambda one: one.with_stage(stage).with_target("preprocessing", "fail", name),
                lambda one: one.with_target("integrating", "reject", target),
                lambda one: one.with_target("new", "request_scan", target, guard=never),
            ]
        )
    )


@given(st.lists(derivations(), min_size=1, max_size=5))
def test_deriving_never_changes_the_origin(steps: list[Callable[[Lifecycle], Lifecycle]]):
    """Neither the music lifecycle nor any step between, whether the derivation ends well."""
    chain = [MUSIC]
    images = [BEFORE]
    for step in steps:
        try:
            chain.append(step(chain[-1]))
        except LifecycleError:
            continue
        assert chain[-1] != chain[-2] or chain[-1].edges == chain[-2].edges
        images.append(pickle.dumps(chain[-1]))
    for one, image in zip(chain, images, strict=True):
        assert pickle.loads(image) == one
        assert one.edges == pickle.loads(image).edges
    assert pickle.loads(BEFORE) == MUSIC
    assert len(MUSIC.states) == 23


def built(**parts: Any) -> Lifecycle:
    whole = {"states": MUSIC.states, "stages": MUSIC.stages, "free_edges": MUSIC.free_edges}
    return Lifecycle(**{**whole, **parts}, record=MusicTask)


def without_edge(edge: Edge) -> Lifecycle:
    return built(free_edges=[one for one in MUSIC.free_edges if one is not edge])


def with_edge(edge: Edge) -> Lifecycle:
    return built(free_edges=[*MUSIC.free_edges, edge])


def with_stage(index: int, **changes: Any) -> Lifecycle:
    stages = list(MUSIC.stages)
    stages[index] = evolve(stages[index], **changes)
    return built(stages=stages)


def ambiguous(edge: Edge) -> str:
    return f"event {edge.event!r} from {edge.source!r}: ambiguous"


#: Ways to declare badly: each takes a state, a removal, a free edge and the number of a stage,
#: and gives what builds the lifecycle and what the message must say of the place.
Bad = Callable[[StateSpec, Edge, Edge, int], tuple[Callable[[], object], str]]
REMOVALS = [edge for edge in MUSIC.free_edges if edge.event == "remove"]
BAD: dict[str, Bad] = {
    "a state twice": lambda state, removal, edge, stage: (
        lambda: built(states=[*MUSIC.states, state]),
        f"{state.name!r}: declared twice",
    ),
    "a state missing": lambda state, removal, edge, stage: (
        lambda: built(states=[one for one in MUSIC.states if one is not state]),
        f"the role {state.role.value!r}"
        if state.role in {Role.INITIAL, Role.REMOVING, Role.GONE}
        else f"state {state.name!r}",
    ),
    "a state's name with a space": lambda state, removal, edge, stage: (
        lambda: built(states=[*MUSIC.states, evolve(state, name=f"{state.name} 2")]),
        f"{state.name} 2",
    ),
    "a state that nothing leads to": lambda state, removal, edge, stage: (
        lambda: MUSIC.with_state(evolve(state, name="island", role=Role.WAITING)).check(),
        "state 'island': no way leads to it",
    ),
    "a state that does not end": lambda state, removal, edge, stage: (
        lambda: without_edge(removal),
        f"state {removal.source!r}: needs an edge 'remove'",
    ),
    "a source that is not there": lambda state, removal, edge, stage: (
        lambda: with_edge(evolve(edge, source="nowhere")),
        "there is no state 'nowhere'",
    ),
    "a target that is not there": lambda state, removal, edge, stage: (
        lambda: with_edge(evolve(edge, target="nowhere")),
        f"edge {edge.source} --{edge.event}",
    ),
    "a way back to the beginning": lambda state, removal, edge, stage: (
        lambda: with_edge(evolve(removal, event="again", target="new")),
        f"edge {removal.source} --again--> new: 'new' is the beginning",
    ),
    "a way out of the end": lambda state, removal, edge, stage: (
        lambda: with_edge(evolve(removal, source="notexisting")),
        "'notexisting' is the end",
    ),
    "an edge twice": lambda state, removal, edge, stage: (
        lambda: with_edge(evolve(removal, target="remove")),
        ambiguous(removal),
    ),
    "an edge that another one hides": lambda state, removal, edge, stage: (
        lambda: with_edge(evolve(removal, guard=never)),
        f"{ambiguous(removal)}: every edge but the last needs a guard",
    ),
    "a guard that is no function": lambda state, removal, edge, stage: (
        lambda: with_edge(evolve(removal, event="again", guard="is_upload")),
        f"edge {removal.source} --again",
    ),
    "an edge that goes unsaved": lambda state, removal, edge, stage: (
        lambda: with_edge(evolve(removal, event="again", stored=False)),
        "only an internal edge may go unsaved",
    ),
    "an event that is no name": lambda state, removal, edge, stage: (
        lambda: with_edge(evolve(removal, event="a b")),
        f"edge {removal.source} --a b",
    ),
    "a stage twice": lambda state, removal, edge, stage: (
        lambda: built(stages=[*MUSIC.stages, MUSIC.stages[stage]]),
        f"{MUSIC.stages[stage].name!r}: declared twice",
    ),
    "a stage that leads nowhere": lambda state, removal, edge, stage: (
        lambda: with_stage(stage, succeeded=()),
        f"stage {MUSIC.stages[stage].name!r}: it leads nowhere",
    ),
    "a stage whose queue is not there": lambda state, removal, edge, stage: (
        lambda: with_stage(stage, queued="nowhere"),
        f"stage {MUSIC.stages[stage].name!r}: there is no state 'nowhere'",
    ),
    "a stage that works where one rests": lambda state, removal, edge, stage: (
        lambda: with_stage(stage, working="readyforintegration"),
        "needs the role 'working'",
    ),
    "a stage missing": lambda state, removal, edge, stage: (
        lambda: built(stages=[one for one in MUSIC.stages if one is not MUSIC.stages[stage]]),
        "but no stage has it",
    ),
}


@pytest.mark.parametrize("way", BAD)
@given(
    state=st.sampled_from(MUSIC.states),
    removal=st.sampled_from(REMOVALS),
    edge=st.sampled_from(MUSIC.free_edges),
    stage=st.integers(0, len(MUSIC.stages) - 1),
)
def test_a_bad_declaration_is_refused_and_says_where(
    way: str, state: StateSpec, removal: Edge, edge: Edge, stage: int
):
    """Wherever in the lifecycle the mistake is made, the message names the place."""
    build, said = BAD[way](state, removal, edge, stage)
    with pytest.raises(LifecycleError) as caught:
        build()
    assert said in str(caught.value)
    assert caught.value.where
