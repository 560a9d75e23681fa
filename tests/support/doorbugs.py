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
        (f"{PARSING}::test_a_body_that_nobody_waits_for_is_passed_over",),
    ),
    Bug(
        "body: what comes slowly waits until there is much",
        "server/reads.py",
        "        self._timer = None\n        self._collect(1)\n",
        "        self._timer = None\n",
        (f"{PARSING}::test_what_comes_slowly_does_not_wait_for_the_rest",),
    ),
    Bug(
        "body: what came before a cut is lost to who takes it late",
        "server/parsing.py",
        "        if not self._pieces or self.is_unwanted:\n",
        "        if not self._pieces or self.is_unwanted or cycle.disconnected:\n",
        (f"{PARSING}::test_what_came_before_a_cut_is_passed_on",),
    ),
    Bug(
        "body: each chunk of a byte is a piece",
        "server/parsing.py",
        "len(last) + len(piece) > JOINED_BYTES:",
        "len(last) + len(piece) > 0:",
        (f"{PARSING}::test_chunks_of_a_byte_are_joined",),
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
