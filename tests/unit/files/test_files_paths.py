"""Paths from outside."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from musictasks.errors import InvalidPath
from musictasks.files import check_name, check_relative, same_name
from musictasks.files.paths import find_same_name


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("/", "absolute"),
        ("..", "'..'"),
        ("a/../b", "'..'"),
        (".", "'.'"),
        ("a/./b", "'.'"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("a\0b", "U+0000"),
        ("a\nb", "U+000A"),
        ("a\x85b", "U+0085"),
        ("a\x7f", "U+007F"),
        ("a\\b", "backslash"),
        ("a\ud800", "surrogate"),
        ("x" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("/".join(["x" * 200] * 21), "4095 bytes"),
        (b"bytes", "not text"),
        (None, "not text"),
    ],
)
def test_what_is_no_plain_relative_path_is_refused(path: Any, reason: str) -> None:
    """A path that is absolute, climbs, or is more than names is refused with the reason."""
    with pytest.raises(InvalidPath, match=r"invalid path|no path") as caught:
        check_relative(path)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "path",
    ["a", "...", ". .", "Ünï 字/2020 - A∕B/01 Söng.flac", "é" * 127, "x" * 255, "a\u2028b", "~"],
)
def test_names_of_music_pass_unchanged(path: str) -> None:
    """Every other character may stand in a name, and nothing is normalised."""
    assert "/".join(check_relative(path)) == path


def test_the_longest_path_is_the_systems() -> None:
    """4095 bytes pass, 4096 do not (the system counts the final NUL)."""
    longest = "/".join(["é" * 127 + "x"] * 15 + ["x" * 255])
    assert len(longest.encode()) == 4095
    assert check_relative(longest)
    with pytest.raises(InvalidPath):
        check_relative("x/" + longest[:-1])


def test_a_name_is_one_part() -> None:
    """A slash makes two parts, which is no name."""
    assert check_name("a") == "a"
    with pytest.raises(InvalidPath, match="slash"):
        check_name("a/b")


@settings(deadline=None)
@given(st.text(st.characters(), max_size=40) | st.text(st.sampled_from("a./\\\0\n"), max_size=8))
@example("a/..")
def test_any_text_is_refused_or_harmless(text: str) -> None:
    """Whatever the text: InvalidPath, or parts that the system takes and that only lead down."""
    try:
        parts = check_relative(text)
    except InvalidPath:
        return
    assert "/".join(parts) == text
    for part in parts:
        assert part not in ("", ".", "..")
        assert not set(part) & set("/\\\0\n")
        assert 0 < len(part.encode()) <= 255


def test_names_that_some_file_systems_take_for_one_compare_equal() -> None:
    """Case and normal form make no difference, compatibility characters do."""
    assert same_name("É.FLAC") == same_name("e\u0301.flac")
    assert same_name("straße") == same_name("STRASSE")
    assert same_name("①") != same_name("1")


@pytest.mark.parametrize(
    ("name", "names", "found"),
    [
        ("01 Song.flac", ["00 One.flac", "01 SONG.flac", "01 song.flac"], "01 SONG.flac"),
        ("01 Song.flac", ["01 Song.mp3", "1 Song.flac"], None),
        ("Stra\u00dfe", ["00 One", "STRASSE"], "STRASSE"),
        ("kelvin", ["\u212aelvin"], "\u212aelvin"),
        ("\u00c9", ["e", "e\u0301"], "e\u0301"),
        ("plain", ["not \udcff text", "PLAIN"], "PLAIN"),
        ("alone", [], None),
    ],
)
def test_a_name_is_found_that_is_the_same_for_some_file_systems(
    name: str, names: list[str], found: str | None
) -> None:
    """Whether all names are plain, or some have to be brought into their form one by one."""
    assert find_same_name(name, names) == found
    assert found is None or same_name(found) == same_name(name)
