"""How long a client waits from its call until it hears of the new task."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from figures import Figure
from musictasks.music import MusicEngine, Settings, open_library

CALLS = 100
_IDLE_S = 0.03


def measure(directory: Path) -> Iterator[Figure]:
    with open_library(Settings.in_directory(directory)) as engine:
        times_ms = _times_ms(engine)
    yield Figure("call to first notification", median(times_ms), "ms", 10, f"median of {CALLS}")
    yield Figure("call to first notification", max(times_ms), "ms", 10, f"worst of {CALLS}")


def _times_ms(engine: MusicEngine) -> list[float]:
    heard, heard_at = threading.Event(), 0.0

    def hear(notification: str, status: dict[str, Any]) -> None:
        nonlocal heard_at
        if not heard.is_set():
            heard_at = time.perf_counter()
            heard.set()

    engine.subscribe(hear)
    times_ms: list[float] = []
    for number in range(CALLS):
        time.sleep(_IDLE_S)
        checksum = hashlib.sha1(str(number).encode()).hexdigest()
        heard.clear()
        begun = time.perf_counter()
        engine.begin_upload(content_type="albumfile", file_size=10, checksum=checksum)
        heard.wait()
        times_ms.append((heard_at - begun) * 1e3)
    return times_ms
