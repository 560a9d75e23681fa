"""Seeded bugs in the machine and in what keeps its word, for the tests on the kit."""

from __future__ import annotations

from seededbugs import Bug

#: An example is to be found; how small it can be made does not count.
_UNSHRUNK = "--hypothesis-profile=unshrunk"
PROOF = "tests/unit/testing/test_proof.py::test_the_music_lifecycle_is_proven_at_100_percent"
TABLE = "tests/unit/statemachine/test_music_lifecycle.py"
SEQUENCES = (
    "tests/property/test_sequences.py::test_no_sequence_of_calls_leads_to_an_undeclared_state"
)
RECORDS = "tests/property/test_records.py"
RACES = "tests/property/test_races.py"
DAMAGED = "tests/property/test_damaged_files.py"
DECLARATIONS = "tests/property/test_declarations.py"
FULL = "tests/unit/testing/test_kit.py::test_a_full_disk_refuses_a_call_and_changes_nothing"

_MACHINE = "statemachine/machine.py"

MACHINE_BUGS = (
    Bug(
        "machine: asked for an edge, it does not look at the payload",
        _MACHINE,
        "None, payload, asks=True)",
        "None, {}, asks=True)",
        (PROOF,),
    ),
    Bug(
        "machine: asked for an edge, it saves",
        _MACHINE,
        "        if cell.asks:\n            raise _Found(edge)\n",
        "        if cell.asks:\n"
        "            if self._save is not None:\n"
        "                self._save(cell.record, cell.subject)\n"
        "            raise _Found(edge)\n",
        (PROOF,),
    ),
    Bug(
        "engine: data of no use stays",
        "engine/resting.py",
        "serial or self._tasks.lifecycle.keeps_data(entry.record):\n",
        "serial or True:\n",
        (_UNSHRUNK, SEQUENCES),
    ),
    Bug(
        "engine: the directory of a removed task stays",
        "engine/resting.py",
        "        self.clean_up(entry.record)\n        self._directories.remove(entry.record.id)\n",
        "        self.clean_up(entry.record)\n",
        (_UNSHRUNK, SEQUENCES),
    ),
    Bug(
        "engine: directories of no task are left at the start",
        "engine/runner.py",
        "                self._directories.remove(owner)\n",
        "                pass\n",
        ("tests/unit/engine/test_task_directory.py::test_a_directory_of_no_task_is_an_orphan",),
    ),
    Bug(
        "uploads: the SHA-1 that was measured is not noted",
        "uploads/uploads.py",
        '            changes |= {"source_checksum": sha1, "upload_path": path}\n',
        '            changes |= {"source_checksum": "0" * 40, "upload_path": path}\n',
        (_UNSHRUNK, SEQUENCES),
    ),
    Bug(
        "music: the same bytes are let in twice",
        "music/duplicates.py",
        "            if holder is not None:\n",
        "            if False:\n",
        (_UNSHRUNK, SEQUENCES),
    ),
    Bug(
        "take-over: flat data stays where it is",
        "music/takeover.py",
        '                self.directories.adopt(task.id, path.partition("/")[0])\n',
        "                pass\n",
        (_UNSHRUNK, SEQUENCES),
    ),
    Bug(
        "machine: an edge that nobody declared",
        _MACHINE,
        "        for edge in lifecycle.edges:\n            self._machine.add_transition(",
        "        added = evolve(lifecycle.edges[0], source=lifecycle.removing, guard=None)\n"
        "        for edge in (*lifecycle.edges, added):\n            self._machine.add_transition(",
        (PROOF, TABLE),
    ),
    Bug(
        "machine: auto_transitions=True",
        _MACHINE,
        "            auto_transitions=False,\n",
        "            auto_transitions=True,\n",
        (PROOF,),
    ),
    Bug(
        "machine: auto_transitions=True, and they know an edge",
        _MACHINE,
        "        for edge in lifecycle.edges:\n            self._machine.add_transition(",
        "        for state in lifecycle.states:\n"
        "            away = evolve(lifecycle.edges[0], event=f'to_{state.name}', guard=None)\n"
        "            self._machine.add_transition(\n"
        "                away.event, '*', state.name, edge=evolve(away, target=state.name)\n"
        "            )\n"
        "        for edge in lifecycle.edges:\n            self._machine.add_transition(",
        (PROOF,),
    ),
    Bug(
        "machine: entering a working state is not saved",
        _MACHINE,
        "        if edge.stored and self._save is not None:\n",
        '        if edge.stored and edge.event != "begin" and self._save is not None:\n',
        (_UNSHRUNK, PROOF, SEQUENCES),
    ),
    Bug(
        "machine: the save comes after the notification",
        _MACHINE,
        "            self._save(cell.pending, cell.subject)\n",
        "            task, save = cell.pending, self._save\n"
        "            on_enter = event.machine.get_state(edge.target or task.state).on_enter\n"
        "            on_enter[1:] = [lambda _: save(task, cell.subject)]\n",
        (_UNSHRUNK, PROOF, SEQUENCES),
    ),
    Bug(
        "machine: an internal edge is saved",
        _MACHINE,
        "        if edge.stored and self._save is not None:\n",
        "        if self._save is not None:\n",
        (PROOF, TABLE),
    ),
    Bug(
        "machine: guards are not asked",
        _MACHINE,
        "        return bool(guard(cell.record, cell.payload))\n",
        "        return True\n",
        (PROOF, TABLE),
    ),
    Bug(
        "declaration: a wrong guard",
        "statemachine/music.py",
        "    return task.include_artwork\n",
        "    return task.trigger_import\n",
        (TABLE,),
    ),
    Bug(
        "machine: a refusal goes unsaid",
        _MACHINE,
        "            raise self._illegal(task, event)\n",
        "            return task\n",
        (_UNSHRUNK, PROOF, SEQUENCES),
    ),
    Bug(
        "machine: attempts are not counted",
        _MACHINE,
        "        return task.attempts + 1\n",
        "        return task.attempts\n",
        (_UNSHRUNK, PROOF, RECORDS),
    ),
    Bug(
        "machine: the history grows without bound",
        _MACHINE,
        "        history = (*task.history, entry)[-HISTORY_LIMIT:]\n",
        "        history = (*task.history, entry)\n",
        (_UNSHRUNK, RECORDS),
    ),
    Bug(
        "machine: changes may set the state",
        _MACHINE,
        'RESERVED = frozenset({"id", "state", ',
        'RESERVED = frozenset({"id", ',
        (_UNSHRUNK, RECORDS),
    ),
    Bug(
        "record: annotations are shared, not copied",
        "statemachine/record.py",
        "        return _copied(self._data)\n",
        "        return self._data\n",
        (_UNSHRUNK, RECORDS),
    ),
    Bug(
        "record: it is not frozen",
        "statemachine/record.py",
        "@frozen(kw_only=True, weakref_slot=False)\nclass Task(_PartlyUnread):",
        "@__import__('attrs').define(kw_only=True)\nclass Task(_PartlyUnread):",
        (_UNSHRUNK, RECORDS),
    ),
    Bug(
        "converter: unknown keys are lost",
        "persistence/format.py",
        "        return task.unknown | self._structuring.unstructure(task)\n",
        "        return self._structuring.unstructure(task)\n",
        (_UNSHRUNK, RECORDS),
    ),
    Bug(
        "engine: memory changes before the disk",
        "engine/tasks.py",
        "        if record.state == self.lifecycle.gone:\n            entry.file.delete()\n",
        "        entry.record = record\n"
        "        if record.state == self.lifecycle.gone:\n            entry.file.delete()\n",
        (FULL,),
    ),
    Bug(
        "engine: the outcome of an old entry is taken",
        "engine/workers.py",
        "            record, current = entry.record, entry.serial\n",
        "            record, current = entry.record, (serial := entry.serial)\n",
        (_UNSHRUNK, SEQUENCES),
    ),
    Bug(
        "engine: recovery forgets the tasks at work",
        "engine/runner.py",
        "        if self.table.role(record) is Role.WORKING:\n            limit",
        "        if self.table.role(record) is Role.INITIAL:\n            limit",
        (_UNSHRUNK, SEQUENCES),
    ),
    Bug(
        "engine: tasks have no lock",
        "engine/entry.py",
        "    lock: threading.Lock = field(factory=threading.Lock)\n",
        "    lock: threading.Lock = field(factory=__import__('contextlib').nullcontext)\n",
        (_UNSHRUNK, RACES),
    ),
    Bug(
        "engine: a damaged file is deleted at the start",
        "engine/table.py",
        "                    self.refuse(loaded)\n",
        "                    self.refuse(loaded)\n"
        "                    self.store.directory.remove(loaded.path.rpartition('/')[2])\n",
        (_UNSHRUNK, DAMAGED),
    ),
    Bug(
        "lifecycle: an ambiguous choice is let through",
        "statemachine/lifecycle.py",
        "    if any(edge.guard is None for edge in edges[:-1]):\n",
        "    if False:\n",
        (_UNSHRUNK, DECLARATIONS),
    ),
)
