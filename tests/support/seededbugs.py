"""The seeded bugs: one change of the source each, and the tests that have to notice it."""

from __future__ import annotations

from attrs import frozen

_SWEEPS = "tests/integration/crash/test_crash_sweeps.py"
KILL = f"{_SWEEPS}::test_killed_at_every_effect[song]"
ERRORS = f"{_SWEEPS}::test_an_error_at_every_effect[song]"
DELETE = f"{_SWEEPS}::test_a_task_file_deleted_at_every_effect[song]"
EDIT = f"{_SWEEPS}::test_a_task_file_edited_at_every_effect[song]"
GARBAGE = f"{_SWEEPS}::test_a_task_file_broken_at_every_effect[song]"
RIVAL = f"{_SWEEPS}::test_another_client_at_every_effect[song]"
IMAGES = "tests/integration/crash/test_crash_images.py::test_a_power_cut_at_every_effect[song]"
_NEIGHBOURS = "tests/integration/crash/test_crash_neighbours.py"
ARTWORKS = f"{_NEIGHBOURS}::test_two_artworks_at_once"
PLACES = f"{_NEIGHBOURS}::test_two_files_for_one_place"
_UPLOADS = "tests/unit/uploads/test_uploads.py"
_DIRECTORY = "tests/unit/engine/test_task_directory.py"
_TAKE_OVER = "tests/unit/music/test_takeover.py"
_OWN = "tests/unit/engine/test_own_records.py"
_MANY = "tests/integration/crash/test_crash_many.py"
MANY_CUT = f"{_MANY}::test_a_power_cut_among_saves_that_share_an_fsync"
MANY_REFUSED = f"{_MANY}::test_a_power_cut_after_a_shared_fsync_was_refused[some]"
MANY_KILL = f"{_MANY}::test_killed_at_every_effect_of_many[many]"
MANY_ERRORS = f"{_MANY}::test_an_error_at_every_effect_of_many[many]"
_KILLED = "tests/integration/killed/test_killed_tasks.py"
_INTERRUPTS = "tests/unit/test_interrupts.py"
_SYNCING = "tests/unit/files/test_files_syncing.py"
_SPARES = "tests/unit/files/test_files_spares.py"
_DISPATCHER = "tests/unit/engine/test_dispatcher.py"
LEFTOVERS = (
    "tests/unit/files/test_files_durable.py"
    "::test_leftovers_of_an_earlier_process_are_in_nobodys_way"
)


@frozen
class Bug:
    """A piece of source that occurs exactly once, and what a careless hand would make of it."""

    name: str
    #: The module's file, relative to the root.
    file: str
    old: str
    new: str
    #: The tests of which one at least has to fail.
    tests: tuple[str, ...]


BUGS = (
    Bug(
        "save: the file is not synced",
        "files/durable.py",
        "                self._sync(temporary.fd)\n",
        "",
        (IMAGES,),
    ),
    Bug(
        "save: the directory is not synced",
        "files/durable.py",
        "        try:\n            self._sync_names(dir_fd)\n        except BaseException:\n"
        "            # The file must",
        "        try:\n            pass\n        except BaseException:\n"
        "            # The file must",
        (IMAGES,),
    ),
    Bug(
        "spare files: one is written over that a reader has open",
        "files/spares.py",
        "                check_alone(fd)\n",
        "",
        (f"{_SPARES}::test_what_a_reader_has_open_stays_as_it_was",),
    ),
    Bug(
        "spare files: one is written over that somebody is just opening",
        "files/spares.py",
        "        while len(self._kept) > _RESTING:\n",
        "        while self._kept:\n",
        (f"{_SPARES}::test_who_is_just_opening_a_file_finds_nothing_of_another",),
    ),
    Bug(
        "spare files: one is written over that has another name",
        "files/spares.py",
        "                found.st_nlink == 1\n                and ",
        "                ",
        (f"{_SPARES}::test_a_hard_link_keeps_its_content",),
    ),
    Bug(
        "spare files: one that somebody replaced is written over",
        "files/spares.py",
        "                and identity_of(found) == identity\n",
        "",
        (f"{_SPARES}::test_a_spare_file_that_is_not_as_it_was_is_not_used",),
    ),
    Bug(
        "spare files: a mode that a person gave goes to another task",
        "files/spares.py",
        "                and _kind_of(fd, found) == self._kind\n",
        "",
        (f"{_SPARES}::test_a_mode_that_a_person_gave_goes_to_no_other_file",),
    ),
    Bug(
        "spare files: who may read one besides its owner goes to another task",
        "files/spares.py",
        "status.st_gid, _attributes(fd)",
        "status.st_gid, {}",
        (f"{_SPARES}::test_an_attribute_that_a_person_gave_goes_to_no_other_file",),
    ),
    Bug(
        "spare files: the end of a longer record stays",
        "files/durable.py",
        "                if temporary.size_bytes > len(data):\n"
        "                    effects.current.truncate(temporary.fd, len(data))\n",
        "",
        (f"{_SPARES}::test_a_shorter_content_leaves_nothing_of_a_longer_one",),
    ),
    Bug(
        "spare files: one is given whose names are not synced",
        "files/durable.py",
        "        before, spare = self.identity, False\n",
        "        before, spare = self.identity, True\n",
        (f"{_SPARES}::test_a_file_whose_names_could_not_be_synced_is_no_spare_one",),
    ),
    Bug(
        "spare files: they stay behind when the engine is closed",
        "persistence/store.py",
        "            self.spares.close(self.dir_fd)\n",
        "            pass\n",
        (KILL,),
    ),
    Bug(
        "create: the directory is not synced",
        "files/durable.py",
        "            try:\n                self._sync_names(dir_fd)\n",
        "            try:\n                pass\n",
        (IMAGES,),
    ),
    Bug(
        "save: replace in place of the exchange brings deleted tasks back",
        "files/steps.py",
        "        effects.current.exchange(a, b, dir_fd=dir_fd)\n",
        "        effects.current.replace(a, b, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)\n"
        "        return False\n",
        (DELETE,),
    ),
    Bug(
        "save: what came out of the exchange is not looked at",
        "files/durable.py",
        "if came_out != self.identity:",
        "if False:",
        (EDIT,),
    ),
    Bug(
        "save: whoever removes temporary files deletes the task",
        "files/durable.py",
        "            raise _TemporaryRemoved from None\n",
        "            raise\n",
        (f"{_SPARES}::test_whoever_removes_temporary_files_deletes_no_task",),
    ),
    Bug(
        "save: after a failed sync the new content stays in force",
        "files/durable.py",
        "            # The file must not say more than its reader's memory.\n"
        "            self._put_back(temporary, made, dir_fd)\n",
        "            self.identity = made\n",
        (ERRORS,),
    ),
    Bug(
        "place: the file is not synced",
        "files/placing.py",
        "steps.set_mode(fd, mode)\n                self._sync(fd)\n",
        "steps.set_mode(fd, mode)\n",
        (IMAGES,),
    ),
    Bug(
        "place: the directory is not synced",
        "files/placing.py",
        "        self._sync(self.dir_fd)\n        return Placed(existed=False",
        "        return Placed(existed=False",
        (IMAGES,),
    ),
    Bug(
        "place: a new directory's name is not synced",
        "files/directory.py",
        "            if self.durable:\n                durable_names.sync(fd)\n",
        "",
        (IMAGES,),
    ),
    Bug(
        "place: the temporary file replaces what is at the target",
        "files/placing.py",
        "steps.rename_noreplace(temporary, self.name, self.dir_fd)",
        "effects.current.replace(\n"
        "                temporary, self.name, src_dir_fd=self.dir_fd, dst_dir_fd=self.dir_fd\n"
        "            )",
        (PLACES,),
    ),
    Bug(
        "upload: the last chunk is not synced",
        "files/uploads.py",
        "if last or self._hashed",
        "if self._hashed",
        (IMAGES,),
    ),
    Bug(
        "temporary files have one name, and no O_EXCL",
        "files/steps.py",
        '        name = f".{stem}.{os.getpid()}.{next(_numbers)}.tmp"\n'
        "        try:\n"
        "            return name, new_file(name, dir_fd, mode)\n",
        '        name = f".{stem}.1.1.tmp"\n'
        "        try:\n"
        "            flags = os.O_RDWR | os.O_CREAT\n"
        "            return name, effects.current.open(name, flags, mode, dir_fd=dir_fd)\n",
        (ARTWORKS,),
    ),
    Bug(
        "temporary files are opened without O_EXCL",
        "files/steps.py",
        "os.O_CREAT | os.O_EXCL |",
        "os.O_CREAT |",
        (LEFTOVERS,),
    ),
    Bug(
        "a descriptor leaks when a save fails",
        "files/durable.py",
        "                return temporary.name, identity_of(os.fstat(temporary.fd))\n"
        "            finally:\n"
        "                os.close(temporary.fd)\n",
        "                made = identity_of(os.fstat(temporary.fd))\n"
        "                os.close(temporary.fd)\n"
        "                return temporary.name, made\n"
        "            finally:\n"
        "                pass\n",
        (ERRORS,),
    ),
    Bug(
        "clients are told before the task is saved",
        "engine/tasks.py",
        "        entry = sending.entry\n        if record.state == self.lifecycle.gone:",
        "        entry = sending.entry\n"
        "        self._notifier.tell(STATE_UPDATE, record)\n"
        "        if record.state == self.lifecycle.gone:",
        (KILL,),
    ),
    Bug(
        "memory runs ahead of the disk",
        "engine/tasks.py",
        "        entry = sending.entry\n        if record.state == self.lifecycle.gone:",
        "        entry = sending.entry\n"
        "        entry.record = record\n"
        "        if record.state == self.lifecycle.gone:",
        (ERRORS,),
    ),
    Bug(
        "annotate does not take the task's lock",
        "engine/engine.py",
        "        with entry.lock:\n            return cast(T, self._tasks.annotate(",
        "        if True:\n            return cast(T, self._tasks.annotate(",
        (RIVAL,),
    ),
    Bug(
        "the offset comes from the record, not from the data",
        "uploads/uploads.py",
        "        if size != record.offset:\n            task.amend(offset=size)\n",
        "",
        (KILL, f"{_UPLOADS}::test_it_goes_on_after_a_restart"),
    ),
    Bug(
        "leftover temporaries of task files are not swept",
        "engine/table.py",
        "        self.store.sweep()\n",
        "",
        (KILL,),
    ),
    Bug(
        "leftover temporaries in the Music Directory are not swept",
        "files/placing.py",
        "    return target.remove_where(\n"
        "        rel_dir, lambda name: steps.is_temporary(name, owner)",
        "    return [] and target.remove_where(\n"
        "        rel_dir, lambda name: steps.is_temporary(name, owner)",
        (KILL,),
    ),
    Bug(
        "the owner's leftover temporary is not swept",
        "persistence/owner.py",
        '            sweep(self._info_directory(), "", OWN_STEM)\n',
        "",
        (KILL,),
    ),
    Bug(
        "a directory that a killed run made keeps the mode of its umask",
        "files/directory.py",
        "mkdir(part, _UNFINISHED_MODE, dir_fd=fd)",
        "mkdir(part, mode, dir_fd=fd)",
        (KILL,),
    ),
    Bug(
        "a handler is not idempotent: the same bytes at the target are an error",
        "files/placing.py",
        "            if not self._same_bytes(there):\n",
        "            if True:\n",
        (KILL,),
    ),
    Bug(
        "a handler is not idempotent: a song is imported once more",
        "library/importing.py",
        "new = [song for song in found if song.path not in known]",
        "new = list(found)",
        (KILL,),
    ),
    Bug(
        "a removal leaves the upload's data",
        "engine/resting.py",
        "        self.clean_up(entry.record)\n        self._directories.remove(entry.record.id)\n",
        "        self.clean_up(entry.record)\n",
        (ERRORS, DELETE),
    ),
    Bug(
        "a task that was at work is not recovered",
        "engine/runner.py",
        "        if self.table.role(record) is Role.WORKING:\n            limit",
        "        if self.table.role(record) is Role.WORKING:\n"
        "            return\n            limit",
        (KILL,),
    ),
    Bug(
        "an event of the engine's own that cannot be saved is not tried again",
        "engine/own_events.py",
        "        self.dispatcher.call_later(delay_s, partial(again, tries=tries + 1,"
        " **(request or {})))\n",
        "",
        (ERRORS,),
    ),
    Bug(
        "a broken task file is written over",
        "persistence/store.py",
        "            data, identity = self._store._read(self.task_id)\n",
        "            data, identity = self._store._read(self.task_id)\n"
        "            self._identity = identity\n",
        (GARBAGE,),
    ),
    Bug(
        "group commit: another sync begins while one runs",
        "files/syncing.py",
        "                leads = self._running is None\n                if leads:\n",
        "                leads = True\n                if leads:\n",
        (f"{_SYNCING}::test_those_who_come_meanwhile_share_the_next",),
    ),
    Bug(
        "group commit: told before synced, while another sync runs",
        "files/syncing.py",
        "                mine = self._next\n",
        "                mine = self._next\n"
        "                mine.synced = self._running is not None\n"
        "                if mine.synced:\n                    return mine\n",
        (f"{_SYNCING}::test_those_who_come_meanwhile_share_the_next",),
    ),
    Bug(
        "group commit: a failed sync is none for those who shared it",
        "files/syncing.py",
        "            if mine.synced:\n                return\n",
        "            return\n",
        (f"{_SYNCING}::test_a_failure_is_that_of_those_who_waited_for_it",),
    ),
    Bug(
        "group commit: the sync that runs already is enough",
        "files/syncing.py",
        "                mine = self._next\n",
        "                mine = self._running or self._next\n",
        (f"{_SYNCING}::test_those_who_come_meanwhile_share_the_next",),
    ),
    Bug(
        "group commit: nobody is woken",
        "files/syncing.py",
        "        for woken in waiting:\n",
        "        for woken in waiting[:1]:\n",
        (f"{_SYNCING}::test_those_who_come_meanwhile_share_the_next",),
    ),
    Bug(
        "group commit: one that is interrupted has done it",
        "files/syncing.py",
        "            effects.current.fsync(dir_fd)\n            mine.synced = True\n",
        "            mine.synced = True\n            effects.current.fsync(dir_fd)\n",
        (f"{_SYNCING}::test_one_that_is_interrupted_is_taken_over",),
    ),
    Bug(
        "group commit: the exchange comes before the sync of the temporary",
        "files/durable.py",
        "        temporary, made = self._write_temporary(data, dir_fd)\n"
        "        before, spare = self.identity, False\n        try:\n"
        "            spare = self._put(temporary, made, dir_fd)\n",
        "        durable, self.durable = self.durable, False\n"
        "        temporary, made = self._write_temporary(data, dir_fd)\n"
        "        self.durable = durable\n"
        "        before, spare = self.identity, False\n        try:\n"
        "            spare = self._put(temporary, made, dir_fd)\n"
        "            fd = open_regular(self.name, dir_fd, self.name)\n"
        "            self._sync(fd)\n            os.close(fd)\n",
        (IMAGES,),
    ),
    Bug(
        "many at once: who finds a sync running does not wait, and tells",
        "files/durable.py",
        "        if self.durable:\n            self.shared(dir_fd)\n",
        "        if self.durable and self.shared._running is None:\n"
        "            self.shared(dir_fd)\n",
        (MANY_CUT,),
    ),
    Bug(
        "many at once: who shares a sync tells while it runs",
        "files/syncing.py",
        "                leads = self._running is None\n                if leads:\n",
        "                leads = self._running is None\n"
        "                mine.synced = not leads and len(mine.waiting) > 0\n"
        "                if mine.synced:\n                    return mine\n"
        "                if leads:\n",
        (MANY_CUT,),
    ),
    Bug(
        "many at once: the exchange comes before the sync of the temporary, where one runs",
        "files/durable.py",
        "        if self.durable:\n            effects.current.fsync(fd)\n",
        "        if self.durable and self.shared._running is None:\n"
        "            effects.current.fsync(fd)\n",
        (MANY_CUT,),
    ),
    Bug(
        "many at once: the syncs of the temporaries are left to that of the directory",
        "files/durable.py",
        "        if self.durable:\n            effects.current.fsync(fd)\n",
        "        if self.durable and not self.shared._next.waiting:\n"
        "            effects.current.fsync(fd)\n",
        (MANY_CUT,),
    ),
    Bug(
        "many at once: a failed sync is that of its leader alone",
        "files/syncing.py",
        "            mine.error = error\n            raise\n",
        "            mine.synced = True\n            raise\n",
        (MANY_REFUSED, MANY_ERRORS),
    ),
    Bug(
        "many at once: who shared a failed sync leaves its new content in force",
        "files/durable.py",
        "            # The file must not say more than its reader's memory.\n"
        "            self._put_back(temporary, made, dir_fd)\n",
        "            if self.shared._running is None:\n"
        "                self._put_back(temporary, made, dir_fd)\n"
        "            self.identity = made\n",
        (MANY_ERRORS,),
    ),
    Bug(
        "many at once: what a failed sync undoes is not synced",
        "files/durable.py",
        "            self._sync_undone(dir_fd)\n            raise\n        return True\n",
        "            raise\n        return True\n",
        (MANY_REFUSED,),
    ),
    Bug(
        "many at once: those who share the next sync are not woken",
        "files/syncing.py",
        "            waiting = [*ended.waiting, *self._next.waiting]\n",
        "            waiting = [*ended.waiting]\n",
        (MANY_KILL,),
    ),
    Bug(
        "many at once: one of those who shared a sync is not woken",
        "files/syncing.py",
        "        for woken in waiting:\n            woken.put(None)\n",
        "        for woken in waiting[: 2 * len(waiting) // 3 or 1]:\n"
        "            woken.put(None)\n",
        (MANY_KILL,),
    ),
    Bug(
        "many at once: after a failed sync nobody takes over",
        "files/syncing.py",
        "            if leads and self._running is mine:\n",
        "            if mine.synced and leads and self._running is mine:\n",
        (MANY_ERRORS,),
    ),
    Bug(
        "many at once: who dies hands nothing over",
        "files/syncing.py",
        "            if leads and self._running is mine:\n",
        "            if mine.synced and leads and self._running is mine:\n",
        (f"{_SYNCING}::test_whoever_dies_in_a_group_leaves_nobody_waiting",),
    ),
    Bug(
        "task directory: it is emptied under its own name",
        "files/owned.py",
        "        gone = _gone(owner)\n        with self.root.descriptor() as root_fd:\n",
        "        return remove_tree(self.root, check_name(owner))\n"
        "        gone = _gone(owner)\n        with self.root.descriptor() as root_fd:\n",
        (
            "tests/unit/files/test_files_owned.py"
            "::test_a_half_removed_one_is_never_taken_for_whole",
            f"{_KILLED}::test_a_removal_that_was_killed_anywhere_is_ended_by_the_next_start",
        ),
    ),
    Bug(
        "task directory: a removal that was cut off is left",
        "files/owned.py",
        '            if name.startswith(".") and _GONE.fullmatch(name):\n',
        "            if False:\n",
        (f"{_DIRECTORY}::test_a_directory_of_no_task_is_an_orphan",),
    ),
    Bug(
        "task directory: orphans go although a task file does not load",
        "engine/runner.py",
        "for owner in () if self.table.invalid else self._directories.owners(self.table.entries):",
        "for owner in self._directories.owners(self.table.entries):",
        (f"{_DIRECTORY}::test_no_orphan_goes_while_a_task_file_does_not_load",),
    ),
    Bug(
        "task directory: data of no use is taken for the new upload's",
        "engine/tasks.py",
        "            self._drop_directory(record.id)\n        if isinstance",
        "            pass\n        if isinstance",
        (f"{_DIRECTORY}::test_a_retry_before_the_data_is_gone_starts_over_all_the_same",),
    ),
    Bug(
        "task directory: data goes though the state keeps it",
        "engine/resting.py",
        "if entry.serial != serial or self._tasks.lifecycle.keeps_data(entry.record):",
        "if entry.serial != serial:",
        (f"{_DIRECTORY}::test_data_that_is_kept_stays",),
    ),
    Bug(
        "uploads: unknown bytes count though a power cut may have torn them",
        "uploads/uploads.py",
        "unannounced=task.record.source_checksum is None,",
        "unannounced=False,",
        (f"{_UPLOADS}::test_after_a_power_cut_bytes_of_an_unknown_checksum_come_again",),
    ),
    Bug(
        "uploads: the mark of what is durable is not synced before other bytes",
        "files/upload_marks.py",
        "    effects.current.fsync(dir_fd)\n",
        "",
        (
            "tests/unit/files/test_files_uploads.py::test_the_mark_is_durable_before_unknown_bytes_are",
        ),
    ),
    Bug(
        "uploads: without a SHA-1 the file is renamed before the save",
        "uploads/uploads.py",
        '            changes |= {"source_checksum": sha1, "upload_path": path}\n',
        '            changes |= {"source_checksum": sha1, "upload_path": path}\n'
        "            self._drop_name(record.upload_path)\n",
        (f"{_KILLED}::test_an_upload_without_a_sha1_always_has_the_name_that_its_record_says",),
    ),
    Bug(
        "uploads: without a SHA-1 the second name comes after the save",
        "uploads/uploads.py",
        "            path = data.link(self._name(evolve(record, source_checksum=sha1)))\n"
        '            changes |= {"source_checksum": sha1, "upload_path": path}\n'
        "        after = task.send(self._way.complete, changes=changes,"
        ' payload={"size": size, "sha1": sha1})\n',
        "            name = self._name(evolve(record, source_checksum=sha1))\n"
        '            path = f"{record.id}/{name}"\n'
        '            changes |= {"source_checksum": sha1, "upload_path": path}\n'
        "        after = task.send(self._way.complete, changes=changes,"
        ' payload={"size": size, "sha1": sha1})\n'
        "        if announced is None:\n            data.link(name)\n",
        (f"{_KILLED}::test_an_upload_without_a_sha1_always_has_the_name_that_its_record_says",),
    ),
    Bug(
        "removal: the task goes before its data",
        "engine/resting.py",
        "                return  # gone already, or its worker calls `resume` when it ends\n"
        "            try:\n                self._clear(entry)\n",
        "                return  # gone already, or its worker calls `resume` when it ends\n"
        "        self._events.fire(entry, serial, 'forget')\n"
        "        with entry.lock:\n"
        "            try:\n                self._clear(entry)\n",
        (f"{_KILLED}::test_a_removal_that_was_killed_anywhere_is_ended_by_the_next_start",),
    ),
    Bug(
        "take-over: the record is saved before the data is moved",
        "engine/table.py",
        "            entry.record = self._take_over(entry.record)\n",
        "            from attrs import evolve\n"
        "            flat = self._take_over.flat(entry.record)\n"
        "            paths = {key: f'{entry.record.id}/{path}' for key, path in flat.items()}\n"
        "            record = entry.record\n"
        "            if paths:\n"
        "                entry.file.save(evolve(record, **paths))\n"
        "            entry.record = self._take_over(record)\n",
        (f"{_KILLED}::test_a_take_over_that_was_killed_anywhere_is_ended_by_the_next_start[all]",),
    ),
    Bug(
        "many at once: a client is told before its save",
        "engine/tasks.py",
        "        entry = sending.entry\n        if record.state == self.lifecycle.gone:",
        "        entry = sending.entry\n"
        "        self._notifier.tell(STATE_UPDATE, record)\n"
        "        if record.state == self.lifecycle.gone:",
        (f"{_KILLED}::test_what_clients_were_told_of_many_tasks_at_once_is_on_disk[all]",),
    ),
    Bug(
        "take-over: data of another is written over",
        "files/owned.py",
        "effects.current.rename_noreplace(name, name, src_dir_fd=root_fd, dst_dir_fd=own_fd)",
        "effects.current.replace(name, name, src_dir_fd=root_fd, dst_dir_fd=own_fd)",
        ("tests/unit/files/test_files_owned.py::test_what_the_owner_has_already_stays",),
    ),
    Bug(
        "loading: nobody hears of the tasks that were there",
        "engine/table.py",
        "        self.unrefuse(record.id)\n        self.observe(entry.record)\n",
        "        self.unrefuse(record.id)\n",
        ("tests/unit/music/test_same_bytes.py::test_they_are_known_after_a_restart",),
    ),
    Bug(
        "workers: a task that cannot be begun keeps its place",
        "engine/workers.py",
        "            if not begun:\n",
        "            if False:\n",
        (
            "tests/unit/engine/test_engine_hazards.py"
            "::test_a_task_that_went_before_it_was_begun_frees_its_place",
        ),
    ),
    Bug(
        "workers: a close is over before the directory is free",
        "engine/workers.py",
        "        future.add_done_callback(self._done)\n        future.add_done_callback(lambda"
        " future: self._dispatcher.put(partial(worked, future)))\n",
        "        future.add_done_callback(lambda"
        " future: self._dispatcher.put(partial(worked, future)))\n"
        "        future.add_done_callback(self._done)\n",
        (
            "tests/unit/engine/test_engine_hazards.py"
            "::test_the_directory_is_free_when_an_engine_is_closed",
        ),
    ),
    Bug(
        "dispatcher: a timer keeps its owner alive",
        "engine/dispatcher.py",
        "            heapq.heappush(self._due, (when, number, weakref.ref(owner)))\n",
        "            heapq.heappush(self._due, (when, number, lambda: owner))\n",
        (f"{_DISPATCHER}::test_timers_of_owners_that_are_gone_do_not_pile_up",),
    ),
    Bug(
        "dispatcher: the timers of tasks that are gone pile up",
        "engine/dispatcher.py",
        "if len(self._due) > _DUE_FEW and len(self._due) > 2 * len(self._timers):",
        "if False:",
        (f"{_DISPATCHER}::test_timers_of_owners_that_are_gone_do_not_pile_up",),
    ),
    Bug(
        "release: a held task is gone on with as one that was loaded",
        "engine/runner.py",
        "if serial == 0 and record.state in self._resumes:",
        "if record.state in self._resumes:",
        (f"{_OWN}::test_what_is_held_is_not_gone_on_with_as_what_was_loaded",),
    ),
    Bug(
        "interrupts: a directory is closed twice",
        "files/directory.py",
        "                fd, above = open_directory(part, fd, rel), fd\n"
        "                os.close(above)\n",
        "                below = open_directory(part, fd, rel)\n                os.close(fd)\n"
        "                fd = below\n",
        (f"{_INTERRUPTS}::test_an_interrupt_is_never_taken_for_an_error_of_the_disk[receive]",),
    ),
    Bug(
        "interrupts: the close takes its lock in Python code",
        "engine/workers.py",
        "        self._resting = threading.Lock()\n",
        "        self._resting = threading.Condition()\n",
        (f"{_INTERRUPTS}::test_an_interrupt_leaves_nothing_locked[workers]",),
    ),
    Bug(
        "interrupts: who waits takes its lock in Python code",
        "intake/watch.py",
        "    _woken: SimpleQueue[None] = field(factory=SimpleQueue, init=False)\n",
        "    _woken: Any = field(factory=__import__('queue').Queue, init=False)\n",
        (f"{_INTERRUPTS}::test_an_interrupt_leaves_nothing_locked[watch]",),
    ),
)
