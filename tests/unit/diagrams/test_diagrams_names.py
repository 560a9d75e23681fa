"""Names and messages of strangers come out right in every format, and break none."""

from __future__ import annotations

import json
import re
from io import BytesIO
from xml.etree import ElementTree

import pytest
from attrs import evolve
from markdown_it import MarkdownIt
from musictasks.diagrams import draw, source_of
from musictasks.statemachine import MUSIC, HistoryEntry, Lifecycle, MusicTask, Stage
from PIL import Image

from .conftest import HOSTILE, is_long

GUARD = " ".join(is_long.__name__.split())


def text_of(drawn: str | bytes) -> str:
    assert isinstance(drawn, str)
    return drawn


def svg_texts(drawn: str | bytes) -> set[str]:
    assert isinstance(drawn, bytes)
    tag = "{http://www.w3.org/2000/svg}text"
    texts = ("".join(found.itertext()) for found in ElementTree.fromstring(drawn).iter(tag))
    return {" ".join(text.replace("\xa0", " ").split()) for text in texts}


def cells(drawn: str | bytes) -> list[list[str]]:
    """The rows of the tables as a Markdown reader shows them."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text_of(drawn)):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and rows:
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


def shown_by_mermaid(drawn: str | bytes) -> str:
    return re.sub(r"#(\d+);", lambda match: chr(int(match[1])), text_of(drawn))


def test_svg_shows_every_name(mine: Lifecycle) -> None:
    """Group, stage, guard and state names stand in the SVG as they were given."""
    shown = svg_texts(draw(mine, "svg"))
    assert {HOSTILE, f"group {HOSTILE}", f"[{GUARD}]", "starttranscoding"} <= shown
    for state in mine.states:
        assert {state.name, f"✓ {state.name}", f"✗ {state.name}"} & shown


def test_the_overview_shows_the_name_of_a_stage(mine: Lifecycle) -> None:
    """A stage drawn as one box shows its name as it was given."""
    assert HOSTILE in svg_texts(draw(mine, "svg", overview=True))


def test_empty_names_are_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    """A stage and a group without a name are drawn, and Graphviz complains of nothing."""
    stage = Stage(
        "", group="", queued="q", working="w", succeeded="readyforintegration", failed="wfailed"
    )
    lifecycle = MUSIC.with_stage(stage).with_target("preprocessing", "succeed", "q")
    assert {"q", "w"} <= svg_texts(draw(lifecycle, "svg", overview=True))
    assert {"q", "w", "every state of"} <= svg_texts(draw(lifecycle, "svg", only=""))
    assert "syntax error" not in capfd.readouterr().err


def test_a_part_is_drawn_by_any_name(mine: Lifecycle) -> None:
    """`only` takes names with every character, and shows them in the note of the removal."""
    shown = svg_texts(draw(mine, "svg", only=f"group {HOSTILE}"))
    assert f"every state of group {HOSTILE}" in shown


def test_pictures_carry_their_source(mine: Lifecycle) -> None:
    """The DOT text comes out of an SVG and out of a PNG as it went in."""
    source = draw(mine, "dot", only="music import")
    for into in ("svg", "png"):
        drawn = draw(mine, into, only="music import")
        assert isinstance(drawn, bytes)
        assert source_of(drawn) == source
    assert source_of(b"<svg></svg>") is None


def test_mermaid_shows_every_name(mine: Lifecycle) -> None:
    """What could end a label or a line is written as its number, so each name is whole."""
    drawn = draw(mine, "mermaid")
    shown = shown_by_mermaid(drawn)
    assert f'state "{HOSTILE}" as' in shown
    assert f'state "group {HOSTILE}" as' in shown
    assert f"[{GUARD}]" in shown
    for line in text_of(drawn).splitlines():
        labels = line.split(" : ", 1)[-1].split('"')
        assert len(labels) in {1, 3}, line
        assert not re.search(r"[;`{}<>]", re.sub(r"#\d+;|<br/>|-->|\{$|^ *\}$", "", line)), line


def test_markdown_shows_every_name(mine: Lifecycle) -> None:
    """A Markdown reader shows each cell as it was given, in tables that keep their columns."""
    rows = cells(draw(mine, "markdown"))
    assert {len(row) for row in rows} == {4, 5}
    assert ["starttranscoding", f"group {HOSTILE}", "queued", HOSTILE] in rows
    about = 'The song is longer than <ten> minutes | "or so" \\N.'
    assert [
        "succeed",
        "transcoding",
        "checked",
        f"{GUARD}: {about}",
        "added",
    ] in rows


def test_json_holds_every_name(mine: Lifecycle) -> None:
    """JSON holds the names as they are, with nothing replaced."""
    drawn = json.loads(draw(mine, "json"))
    assert HOSTILE in {stage["name"] for stage in drawn["stages"]}
    assert is_long.__name__ in {edge["guard"]["name"] for edge in drawn["edges"] if edge["guard"]}


def test_a_message_comes_out_whole(mine: Lifecycle, task: MusicTask) -> None:
    """The message of a step stands in the table as it was given, in the picture shortened."""
    assert HOSTILE in {row[-1] for row in cells(draw(mine, "markdown", task=task))}
    assert f"“{HOSTILE[:43].rstrip()}…”" in svg_texts(draw(mine, "svg", task=task))
    assert HOSTILE[:43].rstrip() in shown_by_mermaid(draw(mine, "mermaid", task=task))


@pytest.mark.parametrize("bad", ["\x00\x1b[31m\x7f", "\ud800", "\ufffe", "\u202egnp.exe", "", "\\"])
def test_what_no_format_can_hold_is_replaced(bad: str, mine: Lifecycle, task: MusicTask) -> None:
    """Control characters, lone surrogates and direction marks leave every format readable."""
    last = task.history[-1]
    step = HistoryEntry(last.time, f"event{bad}", "integrating", f"state{bad}", f"message {bad}")
    odd = evolve(task, history=(*task.history, step), state=step.target)
    drawn = draw(mine, "svg", task=odd)
    assert isinstance(drawn, bytes)
    ElementTree.fromstring(drawn)
    for into in ("mermaid", "dot", "markdown"):
        text = text_of(draw(mine, into, task=odd))
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\ufffe]", text)
        text.encode()
    json.loads(text_of(draw(mine, "json", task=odd)).encode())


def test_a_png_is_a_picture_with_its_own_ground(mine: Lifecycle) -> None:
    """The PNG opens, has no transparent pixel, and has more than one colour."""
    drawn = draw(mine, "png", only="music import")
    assert isinstance(drawn, bytes)
    with Image.open(BytesIO(drawn)) as image:
        assert image.format == "PNG"
        assert "transparency" not in image.info
        colors = image.convert("RGB").getcolors(1000)
    assert colors is not None
    assert max(colors)[1] == (255, 255, 255)
    assert len(colors) > 10
