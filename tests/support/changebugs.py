"""Seeded bugs in what is said of a changed lifecycle, and in the take-over of renamed states."""

from __future__ import annotations

from seededbugs import Bug

TOLD = "tests/property/test_changes.py::test_what_is_said_of_stored_tasks_happens"
COMPARING = "tests/unit/statemachine/test_comparing.py"
RENAMING = "tests/unit/statemachine/test_renaming.py"
STORED = "tests/unit/engine/test_stored_tasks.py"
UPGRADING = "tests/unit/testing/test_upgrading.py"
DIFFERENCE = "tests/unit/diagrams/test_diagrams_difference.py"
_COMPARING = "statemachine/comparing.py"

CHANGE_BUGS = (
    Bug(
        "compare: an edge that went is not told of its state",
        _COMPARING,
        "part.now is None or counts",
        "counts",
        (TOLD,),
    ),
    Bug(
        "compare: a guard of the same name is the same",
        "statemachine/guard_code.py",
        "        one.co_code == other.co_code\n",
        "        True\n",
        (COMPARING,),
    ),
    Bug(
        "compare: the order of the edges is not compared",
        _COMPARING,
        "        if at in found and found[at] in moved:\n",
        "        if False:\n",
        (COMPARING,),
    ),
    Bug(
        "compare: a renamed target is another one",
        _COMPARING,
        "attrs.evolve(old, target=old.target and today(old.target))",
        "old",
        (COMPARING,),
    ),
    Bug(
        "compare: a removal counts as a way on",
        _COMPARING,
        "ends = {None, state, lifecycle.removing, lifecycle.gone}",
        "ends = {None, state}",
        (COMPARING,),
    ),
    Bug(
        "compare: files that will be deleted are not told",
        _COMPARING,
        "keeps is not True:",
        "False:",
        (TOLD,),
    ),
    Bug(
        "renamed: the history keeps the old names",
        "statemachine/renaming.py",
        "    history = tuple(_entry(entry, renamed) for entry in task.history)\n",
        "    history = task.history\n",
        (TOLD,),
    ),
    Bug(
        "renamed: a chain is declared",
        "statemachine/renaming.py",
        "        if new in renamed:\n",
        "        if False:\n",
        (RENAMING,),
    ),
    Bug(
        "renamed: the files keep the old names",
        "engine/table.py",
        " or entry.file.has_old_names:",
        ":",
        (STORED,),
    ),
    Bug(
        "renamed: the files are not written durably",
        "engine/table.py",
        "                entry.file.save(entry.record)\n"
        "                entry.saved = entry.record\n",
        "                path = self.store.directory.root / f'{entry.record.id}.json'\n"
        "                path.write_bytes(self.store.converter.dump(entry.record))\n",
        (f"{STORED}::test_killed_at_every_file_operation",),
    ),
    Bug(
        "walks: an edge to anywhere is a step",
        "statemachine/walks.py",
        "entry.target not in {edge.target for edge in edges}",
        "not edges",
        (RENAMING,),
    ),
    Bug(
        "check: a state that is not there is",
        "engine/checking.py",
        "    has_state = task.state in lifecycle.storable\n",
        "    has_state = True\n",
        (STORED,),
    ),
    Bug(
        "prove: a record whose last way was taken is not looked at",
        "testing/upgrading.py",
        "    if before is not None and now is None:\n",
        "    if False:\n",
        (UPGRADING,),
    ),
    Bug(
        "prove: only one value of each field is stored",
        "testing/upgrading.py",
        "(*candidates(old, state, own), *_of_all_values(old, state))",
        "candidates(old, state, own)",
        (UPGRADING,),
    ),
    Bug(
        "diagrams: what went looks as what is there",
        "diagrams/dot.py",
        "[sign(node.change) + look.sign + node.name, *node.notes]",
        "[look.sign + node.name, *node.notes]",
        (DIFFERENCE,),
    ),
)
