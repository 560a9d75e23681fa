"""Seeded bugs in what a start leaves out, because nearly all tasks only rest."""

from __future__ import annotations

from seededbugs import Bug

_READING = "tests/unit/persistence/test_task_converter.py"
_UNREAD = "tests/unit/persistence/test_unread.py"
_WATCH = "tests/unit/persistence/test_task_watch.py"
_DISPATCHER = "tests/unit/engine/test_dispatcher.py"
_AGE = "tests/unit/engine/test_engine_hazards.py::test_tasks_that_were_loaded_age_each_for_itself"
_UPLOADS = "tests/unit/uploads/test_uploads.py"

START_BUGS = (
    Bug(
        "start: the paths of a file that was written as we write are not checked",
        "persistence/canonical.py",
        "            if not is_plain(values[key]):\n",
        "            if False:\n",
        (_READING,),
    ),
    Bug(
        "start: every path looks plain",
        "files/paths.py",
        "return len(path) <= NAME_MAX_BYTES and _PLAIN.fullmatch(path) is not None",
        "return True",
        (_READING,),
    ),
    Bug(
        "start: the types in a history are not checked",
        "persistence/unread.py",
        "    if kinds not in _known_kinds:\n",
        "    if False:\n",
        (_READING,),
    ),
    Bug(
        "start: annotations may be nested as deep as they like",
        "persistence/unread.py",
        "    if value and not _NESTED.isdisjoint(map(type, value.values())):\n",
        "    if False:\n",
        (_READING,),
    ),
    Bug(
        "start: a history may lead anywhere",
        "persistence/converter.py",
        'return not history or history[-1]["to"] == state',
        "return True",
        (_READING,),
    ),
    Bug(
        "start: what nobody has asked for is lost when it is written",
        "persistence/unread.py",
        "        unknown = kept.pop() if len(kept) > len(self.fields) else {}\n",
        "        unknown = {}\n        kept = kept[: len(self.fields)]\n",
        (_UNREAD,),
    ),
    Bug(
        "start: a constructor that does more is passed by",
        "persistence/canonical.py",
        "    return generated and not own and record.__new__ is object.__new__\n",
        "    return True\n",
        (_UNREAD,),
    ),
    Bug(
        "start: one that raises stops the others of its job",
        "engine/dispatcher.py",
        "            self._do(partial(job, item))\n        self.put",
        "            job(item)\n        self.put",
        (_DISPATCHER,),
    ),
    Bug(
        "start: only the first of those that rest ages",
        "engine/resting.py",
        "                self._expire_if_idle(entry, 0)\n        self._wait_for_first()\n",
        "                self._expire_if_idle(entry, 0)\n",
        (_AGE,),
    ),
    Bug(
        "start: an upload that is whole waits for its next chunk",
        "uploads/uploads.py",
        "        if looked_at and not _is_whole(task.record):\n",
        "        if looked_at:\n",
        (_UPLOADS,),
    ),
    Bug(
        "start: what is held back counts",
        "uploads/uploads.py",
        "                    if found is not None and not found.held_back:\n",
        "                    if found is not None:\n",
        (_UPLOADS,),
    ),
    Bug(
        "start: a change just before it has settled",
        "persistence/watch.py",
        "        if found is not None and time.time() - found.st_mtime >= SETTLE_S:\n",
        "        if found is not None:\n",
        (_WATCH,),
    ),
)
