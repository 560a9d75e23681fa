"""Seeded bugs of the door, and of what brings music to it."""

from __future__ import annotations

from seededbugs import Bug

PARSING = "tests/unit/server/test_parsing.py"
ADD = "tests/integration/test_cli_add_server.py"
SCAN = (
    "tests/integration/test_intake.py"
    "::test_a_scan_of_an_earlier_run_that_ends_before_it_is_asked_for"
)

DOOR_BUGS = (
    Bug(
        "body: the parser is not made anew behind it",
        "server/parsing.py",
        "            self._begin_parsing()\n            self.on_message_complete()\n",
        "            self.on_message_complete()\n",
        (PARSING,),
    ),
    Bug(
        "add --server: a task is looked at without a pause",
        "cli/following.py",
        "                return\n        time.sleep(_LOOK_AGAIN_S)\n",
        "                return\n",
        (f"{ADD}::test_a_stream_of_something_else_is_none",),
    ),
    Bug(
        "scan: one that an earlier run was cut off in stays",
        "intake/scan.py",
        "        if others is None:\n",
        "        if others is None and cut_off is None:\n",
        (SCAN,),
    ),
)
