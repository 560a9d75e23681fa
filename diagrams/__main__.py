"""Makes the files of the music lifecycle: `python -m musictasks.diagrams DIRECTORY`."""

from __future__ import annotations

import sys
from pathlib import Path

from ..statemachine import MUSIC
from .committed import FILES
from .drawing import write


def main(directory: Path) -> None:
    for name, choice in FILES.items():
        write(MUSIC, directory / name, **choice)
        print(directory / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
