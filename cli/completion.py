"""`musictasks completion`: the script that makes a shell complete the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from ..errors import ExtraMissing
from .arguments import make_parser


def run_completion(arguments: argparse.Namespace, _console: Console) -> int:
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise ExtraMissing("completion", "the script is made by shtab") from error
    parser = make_parser()
    for action in _actions(parser):
        if action.type is Path:
            # shtab reads this attribute of an argument.
            setattr(action, "complete", shtab.FILE)  # noqa: B010 - argparse declares none
    print(shtab.complete(parser, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[Any]:
    """All arguments, those of the commands, too."""
    for action in parser._actions:  # argparse has no public way to them
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in set(action.choices.values()):
                yield from _actions(command)
