"""`make bench`: every figure in one run, as a table; some minutes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import adding
import at_rest
import elsewhere
import event
import imports
import notification
import scan
import way
from figures import Figure
from rich.console import Console
from rich.table import Table

import server


def main() -> None:
    table = Table("what", "measured", "wanted", "", title="musictasks")
    table.columns[1].justify = table.columns[2].justify = "right"
    for figure in _measure():
        table.add_row(
            figure.what,
            _text(figure.value, figure.unit),
            "" if figure.wanted is None else f"< {_text(figure.wanted, figure.unit)}",
            figure.note if figure.reached else f"[red]missed[/red] {figure.note}",
        )
    Console().print(table)


def _measure() -> Iterator[Figure]:
    """On the file system of the checkout, which is a disk; /tmp often is memory."""
    with TemporaryDirectory(prefix=".bench-", dir=Path(__file__).parent) as directory:
        for subject in (
            imports,
            notification,
            event,
            at_rest,
            way,
            adding,
            elsewhere,
            scan,
            server,
        ):
            yield from subject.measure(Path(directory) / subject.__name__)


def _text(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


if __name__ == "__main__":
    main()
