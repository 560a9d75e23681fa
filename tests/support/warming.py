"""What a process does before it forks those that work: then none of them has to do it anew."""

from __future__ import annotations

import gc
import io
import tempfile
import threading
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from musictasks.cli import main
from musictasks.library import sample_album

_PATIENCE_S = 30


def warm() -> None:
    """Brings in an album, once: all of that is imported then, and all SQL compiled."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as directory, redirect_stdout(said), redirect_stderr(said):
        config = Path(directory, "musicdb.ini")
        config.write_text(
            "[directories]\nmusic = music\ndata = data\n"
            "[albumcover]\nscales = 16, 32\n[tasks]\ndurability = none\n"
        )
        status = main(["add", str(sample_album()), "--config", str(config)])
    assert status == 0, said.getvalue()
    # Only the thread that forks is there in the fork: the others end before.
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        thread.join(_PATIENCE_S)
        assert not thread.is_alive(), thread
    keep()


def keep() -> None:
    """The collector does not look at what is there now: it stays one memory for all forks.

    And seldom at what comes: a fork is over soon.
    """
    gc.set_threshold(50_000, 20, 20)
    gc.collect()
    gc.freeze()
