"""What the jobs of one run have in common."""

from __future__ import annotations

from attrs import define, field

from ..music import MusicEngine
from ..statemachine import MusicTask, Role
from .claims import Claims, claims_of
from .index import TaskIndex
from .known import Known
from .shelf import Shelf


@define(eq=False)
class Session:
    """An engine, what is known of its tasks and its library, and whose they are."""

    engine: MusicEngine
    #: Nobody else works with the engine: what is left there is of earlier runs.
    exclusive: bool = False
    #: What the ledger knew when the plan was made.
    known: Known | None = None
    shelf: Shelf = field(init=False)
    claims: Claims = field(init=False)
    tasks: TaskIndex = field(init=False)
    #: The ids of tasks that were made in this run.
    made: set[str] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        settings = self.engine.settings
        self.shelf = Shelf(settings, Known(settings) if self.known is None else self.known)
        self.claims = claims_of(self.engine)
        self.tasks = TaskIndex(self.engine)

    def role(self, task: MusicTask) -> Role:
        return self.engine.lifecycle.role(task.state)

    def may_remove(self, task: MusicTask) -> bool:
        """Whether no other client misses the task."""
        return self.exclusive or task.id in self.made
