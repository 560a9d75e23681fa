"""The sweeps: one undisturbed run, then one for each effect call, with somebody striking there.

Run as a program (`python -m crashsweeps METHOD WAY ...`): children must be forked from a process
without other threads, which a test's own cannot promise. Prints what it found as JSON.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen
from crashactors import delete, delete_one, edit, garbage, rival
from crashkills import kill, kill_and_remove, kill_twice
from crashkit import PATIENCE_S, Room
from crashruns import Lane, Run, at_each_call, errors
from crashtakeover import WAYS
from crashways import FirstStart, Way

#: After so many wrong runs a lane gives up.
_ENOUGH = 3

METHODS: dict[str, Callable[[list[str]], Iterator[Run]]] = {
    "errors": errors,
    **{
        run.__name__: partial(at_each_call, run=run)
        for run in (kill, kill_twice, kill_and_remove, delete, delete_one, edit, garbage, rival)
    },
}


# -- the program ------------------------------------------------------------------------------


@frozen
class Order:
    """What the program is asked to do."""

    method: str
    way: str
    directory: Path
    stride: int
    lanes: int


def prepare(way: Way, template: Path) -> None:
    """Makes the library where the way begins."""
    template.mkdir()
    if not isinstance(way, FirstStart):
        room = Room(template)
        room.open()
        way.prepare(room)
        room.close()


class _Complaints(logging.Handler):
    """What is logged as an error: the engine is wrong somewhere, even if the end is right."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


def judged(run: Callable[[], list[str]]) -> list[str]:
    """What was wrong with a run: what it says, what it raised, what was logged as an error."""
    complaints = _Complaints()
    logging.getLogger().addHandler(complaints)
    faulthandler.dump_traceback_later(2 * PATIENCE_S, exit=True)
    try:
        return run() + complaints.lines
    except Exception:
        return [traceback.format_exc()]
    finally:
        faulthandler.cancel_dump_traceback_later()
        logging.getLogger().removeHandler(complaints)


def _call(name: str) -> int:
    """The call at which a run of this name strikes."""
    return int(name.partition(" ")[0])


def sweep(order: Order, number: int) -> dict[str, Any]:
    """The runs of one lane: every one of `order.lanes`, of every `order.stride`th."""
    template = order.directory / "template"
    lane = Lane(WAYS[order.way], template, order.directory / f"lane{number}")
    lane.undisturbed()
    runs = list(METHODS[order.method](lane.calls))
    chosen = dict(runs[(order.stride - 1) // 2 :: order.stride])
    # A stride must not miss all that several share.
    for shared in lane.shared:
        names = [name for name, _ in runs if name.startswith(f"{shared} ")]
        chosen |= {name: run for name, run in runs if name == names[shared % len(names)]}
    in_order = sorted(chosen.items(), key=lambda run: _call(run[0]))[number :: order.lanes]
    lane.struck = {_call(name) for name, _ in in_order}
    bad = []
    for name, run in in_order:
        wrong = judged(partial(run, lane))
        if wrong:
            bad.append(f"{name}: " + "; ".join(wrong)[:2000])
        if len(bad) == _ENOUGH:
            break
    return {"calls": len(lane.calls), "runs": len(in_order), "groups": lane.groups, "bad": bad}


def main(order: Order) -> dict[str, Any]:
    prepare(WAYS[order.way], order.directory / "template")
    children = []
    for number in range(order.lanes):
        pid = os.fork()
        if pid == 0:
            try:
                found = sweep(order, number)
                (order.directory / f"{number}.json").write_text(json.dumps(found))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        children.append(pid)
    failed = [pid for pid in children if os.waitpid(pid, 0)[1]]
    if failed:
        sys.exit("a lane did not end")
    parts = [json.loads((order.directory / f"{n}.json").read_text()) for n in range(order.lanes)]
    return {
        "calls": parts[0]["calls"],
        "groups": parts[0]["groups"],
        "runs": sum(part["runs"] for part in parts),
        "bad": [line for part in parts for line in part["bad"]],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=2)
    given = parser.parse_args()
    order = Order(given.method, given.way, given.directory, given.stride, given.lanes)
    print(json.dumps(main(order)))
