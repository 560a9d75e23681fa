"""Seeded bugs of the inbox: what would take something half, or lose what was put there."""

from __future__ import annotations

from seededbugs import Bug

_LEAVING = "tests/unit/library/test_inbox_directory.py"
KILLED = f"{_LEAVING}::test_killed_at_every_effect_the_next_one_ends_it_all_the_same"
_INBOX = "tests/integration/test_inbox.py"

INBOX_BUGS = (
    Bug(
        "inbox: a file is removed without a look at its bytes",
        "library/inbox_directory.py",
        "        if not self._is_same(away, done):\n",
        "        if False:\n",
        (f"{_LEAVING}::test_a_file_with_other_bytes_stays_however_alike_it_looks",),
    ),
    Bug(
        "inbox: a file that somebody writes is removed",
        "library/inbox_directory.py",
        "                return not has_writer(file) and _sha1(file) == done.checksum\n",
        "                return _sha1(file) == done.checksum\n",
        (f"{_LEAVING}::test_a_file_that_somebody_writes_stays",),
    ),
    Bug(
        "inbox: whether a file is written is asked when it has been compared",
        "library/inbox_directory.py",
        "                return not has_writer(file) and _sha1(file) == done.checksum\n",
        "                return _sha1(file) == done.checksum and not has_writer(file)\n",
        (f"{_LEAVING}::test_what_is_written_over_while_it_is_compared_and_closed_then_stays",),
    ),
    Bug(
        "inbox: what could not be noted is never tried again",
        "intake/inbox_ending.py",
        "        is_any = bool(self.unfinished) or self.inbox.is_unfinished\n",
        "        is_any = self.inbox.is_unfinished\n",
        (f"{_INBOX}::test_what_cannot_be_noted_stays_and_is_tried_again_and_not_all_the_time",),
    ),
    Bug(
        "inbox: what is under way is not put back",
        "library/inbox_directory.py",
        "        self._put_back()\n",
        "",
        (KILLED,),
    ),
    Bug(
        "inbox: the note is gone before all of it is done",
        "library/inbox_directory.py",
        "        gone = [done.parts for done in conclusion.done if self._withdraw(done)]\n",
        "        self._directory.remove(note)\n"
        "        gone = [done.parts for done in conclusion.done if self._withdraw(done)]\n",
        (KILLED,),
    ),
    Bug(
        "inbox: an entry is refused with files that nobody has looked at",
        "library/inbox_directory.py",
        "        if self.look(refused.name) != dict(refused.remains) or not refused.remains:\n",
        "        if not refused.remains:\n",
        (f"{_LEAVING}::test_an_entry_that_has_more_than_what_was_refused_stays",),
    ),
    Bug(
        "inbox: what changes while it is read is taken as it is",
        "intake/inbox_round.py",
        "        return now != group.snapshot\n",
        "        return False\n",
        (f"{_INBOX}::test_a_file_that_changes_while_it_is_read_is_taken_as_it_is_afterwards",),
    ),
    Bug(
        "inbox: where a link has led while it was planned is brought in",
        "intake/inbox_round.py",
        "folders is None or self._folders(group) != folders or ",
        "",
        (f"{_INBOX}::test_a_link_that_has_a_folders_place_while_it_is_read_brings_nothing_in",),
    ),
    Bug(
        "inbox: an archive leaves though a file that it became was changed under its old time",
        "intake/plans.py",
        "    return all(now is not None and is_as_seen(now, entry) for now, entry in found)\n",
        "    return True\n",
        (f"{_INBOX}::test_an_archive_stays_if_a_song_of_it_was_changed_under_its_old_time",),
    ),
    Bug(
        "inbox: an album leaves though a part of it has found no room",
        "intake/inbox_round.py",
        "            if reason is not None:\n                return Verdict(group, later=reason)\n",
        "            if reason is not None:\n                continue\n",
        (f"{_INBOX}::test_what_meets_a_full_disk_stays_and_is_tried_again",),
    ),
    Bug(
        "inbox: what looks still is taken without another look",
        "intake/inbox.py",
        "                if snapshot != entry.snapshot:\n",
        "                if not snapshot:\n",
        (f"{_INBOX}::test_a_change_of_which_nothing_was_told_is_seen_before_anything_is_taken",),
    ),
    Bug(
        "inbox: what has its own place on a disk that is away is filled",
        "intake/inbox_place.py",
        "        if self.known is not None and self.known.is_mounted and not now.is_mounted:\n",
        "        if False:\n",
        (
            "tests/unit/intake/test_inbox_place.py"
            "::test_a_mount_point_without_its_mount_is_not_the_directory",
        ),
    ),
)
