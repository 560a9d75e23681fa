"""What is done with a task, step by step.

A job never blocks. It looks at what is there (the task, the library) and does the next thing,
so it goes on from wherever an earlier run was cut off.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import define, field

from ..errors import (
    ChunkRefused,
    EngineClosed,
    IllegalTransition,
    InvalidPath,
    MusicTasksError,
    TaskNotFound,
)
from ..music import MusicEngine
from ..statemachine import MusicTask, Role
from .session import Session


class Result(StrEnum):
    """How a job ended."""

    ADDED = "added"
    #: The library had it already; nothing was done.
    THERE = "there"
    FAILED = "failed"


@define(eq=False)
class Job:
    """Something to be done with a task, and how far it is."""

    session: Session
    #: As it was when the job looked last.
    task: MusicTask | None = field(default=None, init=False)
    #: The ids of all tasks that worked for this job, in their order.
    task_ids: list[str] = field(factory=list, init=False)
    #: None as long as it has not ended.
    result: Result | None = field(default=None, init=False)
    #: Why it failed.
    reason: str | None = field(default=None, init=False)

    @property
    def engine(self) -> MusicEngine:
        return self.session.engine

    @property
    def state(self) -> str | None:
        """The state of its task now, also while it is being stepped; None: it has no task."""
        task = self.task
        if task is None:
            return None
        try:
            return self.engine.get(task.id).state
        except MusicTasksError:  # it is gone, or its file was broken
            return task.state

    def step(self) -> bool:
        """Does the next thing; False if there is nothing to do but to wait.

        Raises:
            EngineClosed: The job is where it was; with another engine a new one goes on.
        """
        try:
            if self.task is None:
                return self._begin()
            self.task = self.engine.get(self.task.id)
            return self._go_on(self.task)
        except EngineClosed:
            raise
        except TaskNotFound:
            # It is gone, or it went between two looks: the next step sees what that means.
            return self._gone() if self.task is not None else True
        except (IllegalTransition, ChunkRefused) as error:
            return self._has_moved() or self._fail(str(error))
        except InvalidPath as error:
            return self._fail(str(error) if error.path else error.reason)
        except (MusicTasksError, OSError) as error:
            return self._fail(str(error))

    @property
    def subject(self) -> str:
        """What it is about, for people."""
        raise NotImplementedError

    def _begin(self) -> bool:
        raise NotImplementedError

    def _go_on(self, task: MusicTask) -> bool:
        raise NotImplementedError

    def _gone(self) -> bool:
        raise NotImplementedError

    def _has_moved(self) -> bool:
        """Whether another client was first: then the next step goes on from there."""
        if self.task is None:
            return False
        try:
            now = self.engine.get(self.task.id)
        except TaskNotFound:
            return True
        return (now.state, now.offset) != (self.task.state, self.task.offset)

    def _role(self, task: MusicTask) -> Role:
        return self.session.role(task)

    def _take(self, task: MusicTask) -> bool:
        """This task works for the job from now on."""
        self.task = task
        if task.id not in self.task_ids:
            self.task_ids.append(task.id)
        return True

    def _end(self, result: Result) -> bool:
        self.result = result
        self.session.claims.release(self)
        return True

    def _fail(self, reason: str) -> bool:
        self.reason = reason
        return self._end(Result.FAILED)

    def _failed_as(self, task: MusicTask) -> bool:
        return self._fail(f"{task.message or 'no reason given'} (task {task.id}, {task.state})")
