"""Task management for music libraries: every task is a declared, durable state machine.

Each file that comes into a library is a task: uploaded, checked, put at its place, imported into
a database, given its artwork. Every step is stored before anybody is told of it, so whatever stops
the program, the next start goes on where it was.

    import musictasks
    from musictasks.music import Settings

    with musictasks.open_library(Settings.in_directory("library")) as library:
        task = library.scan()
        print(library.wait(task.id, "fsscancomplete", timeout=60).annotations)

What stands here is what most programs begin with; the packages below have the rest:

    open_library   the tasks of a music library, as a context manager that works them off
    open_engine    the same for tasks of a lifecycle of your own
    Task           the record of one task, an immutable value
    Lifecycle      states, stages and edges, declared and checked; an immutable value

    musictasks.errors         every exception, its data and its remedy
    musictasks.statemachine   what a task is; the lifecycle of music, `MUSIC`
    musictasks.engine         runs the tasks of any lifecycle: calls and notifications
    musictasks.uploads        receives files, chunk by chunk, for any lifecycle
    musictasks.music          a music library on it: settings, uploads, imports, scan
    musictasks.testing        proves a lifecycle, and tests handlers against it
    musictasks.diagrams       pictures and tables of a lifecycle
    musictasks.musicdb        the task management under the names that MusicDB documents

The command line is `musictasks`, or `python -m musictasks`.
"""

# The package's folders lie at the root of the repository, and here is a link to each. A new one is
# one more link, `ln -s ../../NAME src/musictasks/NAME`, and its place in the layers of
# `[tool.importlinter]` in pyproject.toml: the installation, the wheel, the linters and the tests
# find it by the link.

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from .engine import open_engine
    from .music import open_library
    from .statemachine import Lifecycle, Task
else:
    # So that whoever imports `musictasks.statemachine` alone does not load what the engine needs.
    __getattr__, _, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "engine": ["open_engine"],
            "music": ["open_library"],
            "statemachine": ["Lifecycle", "Task"],
        },
    )

__all__ = ["Lifecycle", "Task", "__version__", "open_engine", "open_library"]

#: The one place of the version; pyproject.toml reads it here.
__version__ = "0.2.0.dev0"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
