"""What reaches the terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from musictasks.cli.arguments import make_parser
from musictasks.cli.output import bytes_text, count, make_console, say, text
from musictasks.cli.printable import printable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Größe – 名前 👨‍👩‍👧", "Größe – 名前 👨‍👩‍👧"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x9b0m\x7f", "\\x9b0m\\x7f"),
        ("live\u202egpj.exe", "live\\u202egpj.exe"),
        ("\udcff\u2028", "\\udcff\\u2028"),
    ],
)
def test_printable(raw, shown):
    """Letters of all scripts stay; what steers a terminal or hides in it becomes an escape."""
    assert printable(raw) == shown


@given(st.text())
def test_printable_holds_no_control_characters(raw):
    """Whatever a name holds, nothing of it can steer the terminal, or fail to be encoded."""
    shown = printable(raw)
    shown.encode("utf-8")
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in shown)


def test_names_are_no_markup(capsys):
    """Brackets and colons in a name are printed as they are, and a long line stays one line."""
    name = "[bold]x[/bold] :smile: " + "y" * 300
    say(make_console(), "name: ", name, text(name, "red"))
    assert capsys.readouterr().out == f"name: {name}{name}\n"


def test_arguments_are_not_repeated_raw(capsys):
    """Also the complaint on a wrong option, a file's name perhaps, is safe to print."""
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args(["tasks", "--\x1b[31m"])
    assert caught.value.code == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("year", ["0", "20x", "-5", "10000", "٢٠٢٠", ""])
def test_year_that_is_none(year):
    """Only a year of four digits at most is taken for one."""
    with pytest.raises(SystemExit):
        make_parser().parse_args(["add", "x", f"--year={year}"])


def test_words():
    """Numbers as people write them."""
    assert [bytes_text(n) for n in (0, 999, 1000, 63_852, 5 * 10**6, 3 * 10**9)] == [
        "0 B", "999 B", "1.0 kB", "63.9 kB", "5.0 MB", "3.0 GB",
    ]  # fmt: skip
    assert (count(1, "file"), count(0, "file")) == ("1 file", "0 files")


def test_a_word_of_help_costs_no_database():
    """What a command needs is imported when it runs."""
    heavy = ["sqlite3", "mutagen", "PIL", "rich", "transitions", "cattrs"]
    program = (
        "import sys\nfrom musictasks.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stderr.strip() == "[]"
    assert "usage: musictasks" in done.stdout
