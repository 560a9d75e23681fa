"""Figures for Prometheus: what the tasks do, and what the door refuses."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator
from typing import Any

import prometheus_client
from attrs import define, field
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from ..engine import Engine, Notification
from ..statemachine import Role, Task

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

#: Upper bounds of the seconds in handlers.
_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200)


@define(eq=False)
class Metrics:
    """The figures of one door, in a registry of its own."""

    _engine: Engine[Any]
    _registry: CollectorRegistry = field(factory=CollectorRegistry, init=False)
    _notifications: Counter = field(init=False)
    _entries: Counter = field(init=False)
    _refusals: Counter = field(init=False)
    _bytes: Counter = field(init=False)
    _seconds: Histogram = field(init=False)
    #: The stages, by their working states.
    _stages: dict[str, str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"musictasks_{name}", about, labels, registry=self._registry)

        self._notifications = counter("notifications", "Notifications.", "notification")
        self._entries = counter("state_entries", "Entries of tasks into a state.", "state")
        self._refusals = counter("refusals", "Requests answered by an error.", "status")
        self._bytes = counter("received_bytes", "Bytes of bodies and packets received.")
        self._seconds = Histogram(
            "musictasks_handler_seconds",
            "Seconds that a stage's handler worked on a task.",
            ["stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stages = {stage.working: stage.name for stage in self._engine.lifecycle.stages}
        self._registry.register(_Tasks(self._engine))

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return prometheus_client.generate_latest(self._registry)

    def refused(self, status: int) -> None:
        """A request was answered by this status code."""
        self._refusals.labels(str(status)).inc()

    def received(self, size_bytes: int) -> None:
        """So many bytes of a body or a packet came in."""
        self._bytes.inc(size_bytes)

    def noted(self, notification: Notification) -> None:
        """A listener of the feed."""
        self._notifications.labels(notification.name).inc()
        if not notification.entered:
            return
        self._entries.labels(notification.state).inc()
        record = notification.record
        history = record.history if isinstance(record, Task) else ()
        if len(history) >= 2 and (stage := self._stages.get(history[-1].source)):
            worked_s = history[-1].time - history[-2].time
            self._seconds.labels(stage).observe(max(worked_s, 0))


class _Tasks:
    """What is counted when somebody asks."""

    def __init__(self, engine: Engine[Any]) -> None:
        self._engine = engine

    def describe(self) -> Iterator[Metric]:
        return iter(())  # else `collect` is called for it

    def collect(self) -> Iterator[Metric]:
        lifecycle, tasks = self._engine.lifecycle, self._engine.tasks()
        states = Counts(task.state for task in tasks)
        by_state = GaugeMetricFamily("musictasks_tasks", "Tasks by state.", labels=["state"])
        for state in lifecycle.states:
            if state.role not in {Role.INITIAL, Role.GONE}:
                by_state.add_metric([state.name], states[state.name])
        yield by_state
        queued = [task for task in tasks if lifecycle.role(task.state) is Role.QUEUED]
        yield _gauge("queued_tasks", "Tasks that wait for a worker.", len(queued))
        since = min((task.update_time or 0 for task in queued), default=None)
        age_s = 0.0 if since is None else max(self._engine.now() - since, 0)
        yield _gauge("oldest_queued_task_seconds", "How long the oldest of them has waited.", age_s)
        yield _gauge(
            "invalid_task_files", "Task files that do not load.", len(self._engine.invalid())
        )


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"musictasks_{name}", about, value=value)
