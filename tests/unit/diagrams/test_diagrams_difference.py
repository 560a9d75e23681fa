"""The picture of what came, went and changed: in each format, and without its colours."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from attrs import evolve
from musictasks.diagrams import FORMATS, draw, source_of
from musictasks.diagrams.style import CHANGES, GROUND
from musictasks.errors import DiagramError
from musictasks.statemachine import MUSIC, Change, Edge, Lifecycle, Role, StateSpec

WENT = MUSIC.with_state(StateSpec("approval", "integration", Role.WAITING)).with_edge(
    Edge(event="ask", source="readyforintegration", target="approval")
)
NOW = (
    MUSIC.with_state(StateSpec("court", "integration", Role.WAITING))
    .with_edge(Edge(event="sue", source="readyforintegration", target="court"))
    .with_target("integrating", "reject", "court")
    .with_renamed({"waiting": "waitforchunk"})
)


def renamed(lifecycle: Lifecycle, now: str, old: str) -> Lifecycle:
    """The lifecycle as it was when a state had another name."""
    return Lifecycle(
        [evolve(s, name=old) if s.name == now else s for s in lifecycle.states],
        lifecycle.stages,
        [
            evolve(
                e,
                source=old if e.source == now else e.source,
                target=old if e.target == now else e.target,
            )
            for e in lifecycle.free_edges
        ],
        record=lifecycle.record,
    )


OLD = renamed(WENT, "waitforchunk", "waiting")


def content() -> dict[str, Any]:
    return json.loads(draw(NOW, "json", compare=OLD))


def test_every_state_and_edge_of_both_is_there():
    """Once, with what became of it."""
    drawn = content()
    states = {state["name"]: state["change"] for state in drawn["states"]}
    assert states.keys() == {s.name for s in NOW.states} | {"approval"}
    changed = {name: change for name, change in states.items() if change != "same"}
    assert changed == {"court": "came", "approval": "went", "waitforchunk": "changed"}
    edges = [
        (e["source"], e["event"], e["target"]) for e in drawn["edges"] if e["change"] != "same"
    ]
    assert sorted(edges) == [
        ("approval", "remove", "remove"),
        ("court", "remove", "remove"),
        ("integrating", "reject", "court"),
        ("readyforintegration", "ask", "approval"),
        ("readyforintegration", "sue", "court"),
    ]
    assert len(drawn["edges"]) == len(NOW.edges) + 2
    assert all(edge["source"] in states for edge in drawn["edges"])


def test_what_changed_is_written():
    """Beside the name of a state, and at an edge."""
    drawn = content()
    notes = {state["name"]: state["differences"] for state in drawn["states"]}
    assert notes["waitforchunk"] == ["was waiting"]
    (reject,) = [e for e in drawn["edges"] if e["event"] == "reject" and e["target"] == "court"]
    assert reject["differences"] == ["target: invalidcontent is now court"]
    for text in ("was waiting", "target", "invalidcontent is now court"):
        assert text in str(draw(NOW, "markdown", compare=OLD))
        assert text in str(draw(NOW, "dot", compare=OLD))


def test_without_a_comparison_nothing_is_said_of_changes():
    assert "change" not in str(draw(MUSIC, "json"))
    assert "| change |" not in str(draw(MUSIC, "markdown"))


def attributes(drawn: str, start: str) -> str:
    (line,) = [line for line in drawn.splitlines() if line.strip().startswith(start)]
    return line


def test_the_changes_are_told_apart_in_greyscale_and_on_dark_pages():
    """By dash, width and sign: no two have the same; and on a ground of the picture's own."""
    looks = {(line.dash, line.width) for line in CHANGES.values()}
    assert len(looks) == len({line.sign for line in CHANGES.values()}) == len(Change)
    drawn = str(draw(NOW, "dot", compare=OLD))
    assert f'bgcolor="{GROUND}"' in drawn
    for start, sign, change in (
        ('"court" [', "+ court", Change.CAME),
        ('"approval" [', "- approval", Change.WENT),
        ('"waitforchunk" [', "~ waitforchunk", Change.CHANGED),
        ('"readyforintegration" -> "court"', "+ sue", Change.CAME),
        ('"readyforintegration" -> "approval"', "- ask", Change.WENT),
        ('"integrating" -> "court"', "~ reject", Change.CHANGED),
        ('"startfsscan" [', '"startfsscan"', Change.SAME),
    ):
        line = attributes(drawn, start)
        assert sign in line
        assert CHANGES[change].dash in line.rpartition("style=")[2]
        assert f"penwidth={CHANGES[change].width}" in line
    for line in CHANGES.values():
        assert line.about in drawn


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_can_be_read_on_the_ground():
    """4.5 to 1, as text needs."""
    for line in CHANGES.values():
        contrast = (_luminance(GROUND) + 0.05) / (_luminance(line.color) + 0.05)
        assert contrast >= 4.5, line


def test_mermaid_has_signs_and_lines():
    """Mermaid draws all edges alike, so the sign in front of the event says it."""
    drawn = str(draw(NOW, "mermaid", compare=OLD))
    for text in ('"+ court"', '"- approval"', ": + sue", ": - ask", ": #126; reject<br/>"):
        assert text in drawn
    court = re.findall(r'state "\+ court" as (\w+)', drawn)
    assert f"class {court[0]} is_came" in drawn
    assert "↺" not in drawn


def test_the_removals_are_one_arrow():
    """Those of states that came and went, too."""
    drawn = str(draw(NOW, "dot", compare=OLD))
    assert drawn.count(' -> "remove" [') == 2
    assert "every state but new, notexisting, remove" in drawn


def test_what_has_no_way_on_is_said():
    assert "have no way on from: approval" in str(draw(NOW, "dot", compare=OLD))
    assert "All stored tasks go on." in str(draw(WENT, "dot", compare=MUSIC))
    assert "Nothing came, went or changed." in str(draw(MUSIC, "dot", compare=MUSIC))


@pytest.mark.parametrize("into", FORMATS)
def test_drawing_again_gives_the_same(into: str):
    """In each format; pictures say what they were drawn from."""
    drawn = draw(NOW, into, compare=OLD)
    if isinstance(drawn, bytes):
        assert source_of(drawn) == draw(NOW, "dot", compare=OLD)
    else:
        assert drawn == draw(NOW, into, compare=OLD)


def test_a_comparison_of_a_part_does_not_exist():
    with pytest.raises(DiagramError, match="exclude"):
        draw(NOW, "dot", compare=OLD, only="upload")
