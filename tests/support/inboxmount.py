"""An inbox on a disk that is unmounted and mounted again: the program of a namespace of its own.

Run as `python inboxmount.py DIRECTORY`, where it may mount; prints what it saw as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from clikit import Library, copy_album, start
from inboxkit import wait_until


def main(root: Path) -> None:
    inbox, library = root / "inbox", Library(root / "library")
    inbox.mkdir()
    mount(inbox)
    seen = {}
    with start("watch", inbox, "--library", library.root, "--settle", "1", anew=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        next(line for line in lines if line.startswith("watching"))
        copy_album(inbox / "First")
        seen["first"] = next(line for line in lines if "First" in line)
        wait_until(lambda: not any(inbox.iterdir()), "it stays")
        wait_until(lambda: unmounted(inbox), "it is busy")
        seen["away"] = next(line for line in lines if "not mounted" in line)
        # While it is away, somebody puts an album into the place where it is mounted.
        copy_album(inbox / "Beside")
        mount(inbox)
        seen["back"] = next(line for line in lines if "is there" in line)
        copy_album(inbox / "Second")
        seen["second"] = next(line for line in lines if "Second" in line)
        wait_until(lambda: not any(inbox.iterdir()), "it stays")
        process.terminate()
        seen["status"] = process.wait(30)
    assert unmounted(inbox)
    seen["beside"] = len(list((inbox / "Beside").iterdir()))
    print(json.dumps(seen))


def unmounted(inbox: Path) -> bool:
    """False while it is looked at."""
    return subprocess.run(["umount", inbox], capture_output=True, check=False).returncode == 0


def mount(inbox: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", inbox], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
