"""What is drawn: all of a lifecycle, a part of it with its neighbours, or its main ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from musictasks.diagrams import FORMATS, draw
from musictasks.errors import DiagramError, LifecycleError
from musictasks.statemachine import MUSIC, Edge, Lifecycle, Role, StateSpec, bare_lifecycle


def content(lifecycle: Lifecycle, **choice: Any) -> dict[str, Any]:
    return json.loads(draw(lifecycle, "json", **choice))


def neighbours(drawn: dict[str, Any]) -> set[str]:
    return {state["name"] for state in drawn["states"] if state["neighbour"]}


@pytest.mark.parametrize("which", ["music", "mine"])
def test_json_holds_the_whole_declaration(which: str, mine: Lifecycle) -> None:
    """Every state, stage and edge is there, with everything that is declared of it."""
    lifecycle = {"music": MUSIC, "mine": mine}[which]
    drawn = content(lifecycle)
    assert drawn["version"] == 1
    assert [(s["name"], s["group"], s["role"]) for s in drawn["states"]] == [
        (state.name, state.group, state.role.value) for state in lifecycle.states
    ]
    assert [
        (
            e["event"],
            e["source"],
            e["target"],
            (e["guard"] or {}).get("name"),
            e["kind"],
            e["stored"],
        )
        for e in drawn["edges"]
    ] == [
        (e.event, e.source, e.target, e.guard_name, e.kind.value, e.stored) for e in lifecycle.edges
    ]
    assert [(s["name"], s["queued"], s["working"], s["failed"]) for s in drawn["stages"]] == [
        (s.name, s.queued, s.working, s.failed) for s in lifecycle.stages
    ]
    by_name = {state["name"]: state["stage"] for state in drawn["states"]}
    for stage in lifecycle.stages:
        assert by_name[stage.queued] == by_name[stage.working] == stage.name


def test_json_says_what_a_guard_asks() -> None:
    """A guard comes with the first line of its docstring."""
    guards = {
        e["guard"]["name"]: e["guard"]["about"] for e in content(MUSIC)["edges"] if e["guard"]
    }
    assert guards["is_artwork"] == "The content type is artwork."


def test_a_group_comes_with_its_neighbours() -> None:
    """`only` draws a group's states, and those its edges lead to or come from as neighbours."""
    drawn = content(MUSIC, only="upload")
    inside = {state["name"] for state in drawn["states"]} - neighbours(drawn)
    assert inside == {"waitforchunk", "uploadfailed", "uploadcomplete", "preprocessing"}
    assert neighbours(drawn) == {"new", "readyforintegration", "invalidcontent", "remove"}
    assert [stage["name"] for stage in drawn["stages"]] == ["preprocessing"]


def test_a_stage_comes_with_its_outcomes() -> None:
    """`only` draws a stage's two states, and its outcomes as neighbours."""
    drawn = content(MUSIC, only="music import")
    inside = {state["name"] for state in drawn["states"]} - neighbours(drawn)
    assert inside == {"startmusicimport", "importingmusic"}
    assert {"importcomplete", "importfailed", "startartworkimport"} < neighbours(drawn)


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    """A name that is no group and no stage is answered with those there are."""
    with pytest.raises(DiagramError, match=r"'nowhere'.*upload.*music import"):
        draw(MUSIC, "dot", only="nowhere")


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    """An unknown format is answered with those there are."""
    with pytest.raises(DiagramError, match=r"'gif'.*svg, png, mermaid, dot, markdown, json"):
        draw(MUSIC, "gif")


def test_two_choices_exclude_each_other() -> None:
    """A part of the overview does not exist, and is not guessed."""
    with pytest.raises(DiagramError, match="exclude"):
        draw(MUSIC, "dot", only="upload", overview=True)


def test_a_lifecycle_that_is_not_whole_is_refused() -> None:
    """A derivation that stopped half way is not drawn as if it were whole."""
    half = MUSIC.with_state(StateSpec("lonely", "own", Role.WAITING))
    with pytest.raises(LifecycleError, match="lonely"):
        draw(half, "mermaid")


@pytest.mark.parametrize("into", ["dot", "mermaid"])
def test_the_removal_is_one_arrow(into: str) -> None:
    """The pictures draw the 20 ways into the removal as one, and the one that follows by itself."""
    drawn = draw(MUSIC, into)
    assert isinstance(drawn, str)
    arrow = {"dot": ' -> "remove" [', "mermaid": " --> s3 :"}[into]
    assert drawn.count(arrow) == 2
    assert "every state but new, notexisting, remove" in drawn


def test_the_tables_have_every_edge() -> None:
    """Markdown and JSON fold nothing."""
    table = draw(MUSIC, "markdown")
    assert isinstance(table, str)
    removals = [edge for edge in MUSIC.edges if edge.event == "remove"]
    assert len(removals) == 20
    for edge in removals:
        assert f"| `remove` | `{edge.source}` | `remove` |" in table
    assert table.count("\n| ") == len(MUSIC.states) + len(MUSIC.edges) + 3


def test_the_overview_has_stages_as_boxes() -> None:
    """The overview shows each stage as one box and leaves failures, recovery and retries out."""
    drawn = draw(MUSIC, "mermaid", overview=True)
    assert isinstance(drawn, str)
    for stage in MUSIC.stages:
        assert f"{stage.name}#58; {stage.queued}, {stage.working}" in drawn
    for word in ("recover", "retry", "fail ", "reject", "integrationfailed", "begin"):
        assert f" : {word}" not in drawn.replace("↺ ", "").replace("↩ ", "")
    assert "integrationfailed" not in drawn


@pytest.mark.parametrize("into", FORMATS)
def test_drawing_again_gives_the_same(into: str) -> None:
    """The same lifecycle gives the same bytes."""
    assert draw(MUSIC, into, overview=True) == draw(MUSIC, into, overview=True)


def test_where_nothing_is_documented_nothing_is_called_added() -> None:
    """The legend explains a contrast, and only where there is one."""
    resting = bare_lifecycle().with_state(StateSpec("rest", "own", Role.WAITING))
    own = resting.with_edge(Edge(event="go", source="unmade", target="rest"))
    assert "added" not in str(draw(own, "dot"))
    assert "added" in str(draw(MUSIC, "dot"))
