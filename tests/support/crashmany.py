"""Many tasks at once: clients that act in threads of their own, and saves that share an fsync."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from attrs import evolve, frozen
from crashkit import Room
from crashturns import Turns
from crashways import ALBUM, Stuck, Way
from musictasks.statemachine import MusicTask

#: So many tasks, each of one chunk.
MANY = 4
FILES = {
    f"{chr(ord('a') + number)}-task": f"booklet number {number}, ".encode() * 20
    for number in range(MANY)
}


def target(task_id: str) -> str:
    return f"{ALBUM}/booklet {task_id}.pdf"


@frozen(kw_only=True)
class ManyAtOnce(Way):
    """Each file is uploaded, noted on and integrated; what is next is done for all at once."""

    #: Each begins only when the one before it has: so saves of different kinds come together.
    one_after_the_other: bool = False

    def go(self, room: Room, *, again: bool = True, rested: Callable[[], object] = bool) -> None:
        """Goes on until all tasks are gone; `again`: and until all files are in the library."""
        began = set[str]()
        for _ in range(500):
            rested()
            due = room.rest()
            tasks = {task.id: task for task in room.engine.tasks()}
            began |= tasks.keys()
            calls = list(self._calls(room, tasks, set() if again else began))
            if calls:
                room.at_once(calls)
            elif not tasks:
                return
            elif not room.pass_to(due):
                states = {task.state: task.message for task in tasks.values()}
                raise Stuck(f"tasks rest in {states}")
        raise Stuck(f"no end after 500 steps: {room.raised[-3:]}")

    def _calls(self, room: Room, tasks: dict[str, MusicTask], given_up: set[str]) -> list[Call]:
        calls = list[Call]()
        for task_id, data in FILES.items():
            task = tasks.get(task_id)
            if task is not None:
                call = self.act(room, task)
                calls += [] if call is None else [call]
            elif task_id not in given_up and not self._has(room, task_id):
                calls.append(
                    partial(
                        room.engine.begin_upload,
                        content_type="albumfile",
                        file_size=len(data),
                        checksum=hashlib.sha1(data).hexdigest(),
                        source_filename="booklet.pdf",
                        task_id=task_id,
                    )
                )
                if self.one_after_the_other:
                    break
        return calls

    @staticmethod
    def _has(room: Room, task_id: str) -> bool:
        return (room.settings.music / target(task_id)).exists()

    def done(self, room: Room) -> bool:
        return all(self._has(room, task_id) for task_id in FILES)

    def act(self, room: Room, task: MusicTask) -> Call | None:
        engine = room.engine
        if task.state == "waitforchunk":
            offset = task.offset or 0
            return partial(engine.receive_chunk, task.id, FILES[task.id][offset:], offset=offset)
        if task.state == "readyforintegration":
            if task.annotations.get("note") != task.id:
                return partial(engine.annotate, task.id, {"note": task.id})
            return partial(engine.integrate, task.id, target(task.id))
        return super().act(room, task)


Call = Callable[[], object]

_AT_ONCE = ManyAtOnce(turns=Turns)
WAYS_OF_MANY: dict[str, Way] = {
    "many": _AT_ONCE,
    # Makings, saves and removals share an fsync.
    "many mixed": evolve(_AT_ONCE, one_after_the_other=True),
    # Who is next is drawn.
    **{f"many drawn {seed}": evolve(_AT_ONCE, turns=partial(Turns, seed)) for seed in range(1, 5)},
}
