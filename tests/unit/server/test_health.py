"""/healthz and /metrics."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from enginekit import upload
from serverkit import BEARER, TOKEN, open_served, served_library, serving, wait_until


def figures(client: httpx.Client) -> dict[str, float]:
    text = client.get("/metrics").text
    found = re.findall(r"^(musictasks_\w+(?:{[^}]*})?) ([\d.e+-]+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_health_needs_no_token_and_tells_nothing(tmp_path: Path):
    with served_library(tmp_path, token=TOKEN) as served, served.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}


def test_an_engine_that_does_not_work_is_not_healthy(tmp_path: Path):
    with open_served(tmp_path) as engine, serving(engine) as served, served.client() as client:
        assert client.get("/healthz").status_code == 200
        engine.close()
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
        assert client.post("/api/scans").status_code == 503


def test_a_directory_that_is_another_s_is_not_healthy(tmp_path: Path):
    """Somebody has moved it away, or mounted another one over it."""
    with served_library(tmp_path / "library") as served, served.client() as client:
        tasks = served.engine.settings.tasks
        tasks.rename(tasks.with_name("elsewhere"))
        assert client.get("/healthz").status_code == 503
        tasks.mkdir()
        assert client.get("/healthz").status_code == 503
        tasks.rmdir()
        tasks.with_name("elsewhere").rename(tasks)
        assert client.get("/healthz").status_code == 200


def test_the_figures_are_those_of_the_tasks(tmp_path: Path):
    with (
        served_library(tmp_path, token=TOKEN) as served,
        served.client(headers=BEARER) as client,
    ):
        served.engine.begin_upload(content_type="albumfile", file_size=3)
        task = upload(served.engine, size=100)
        served.engine.wait(task.id, "readyforintegration", timeout=30)
        client.post(f"/api/tasks/{task.id}/events/nonsense", json={"message": "x" * 100})
        done = 'musictasks_handler_seconds_count{stage="preprocessing"}'
        wait_until(lambda: done in figures(client))
        told = figures(client)
    assert told[done] == 1
    assert told['musictasks_tasks{state="waitforchunk"}'] == 1
    assert told['musictasks_tasks{state="readyforintegration"}'] == 1
    assert told['musictasks_state_entries_total{state="waitforchunk"}'] == 2
    assert told['musictasks_notifications_total{notification="ChunkRequest"}'] >= 2
    assert told['musictasks_refusals_total{status="409"}'] == 1
    assert told["musictasks_received_bytes_total"] == len('{"message":""}') + 100
    assert told["musictasks_queued_tasks"] == 0
    assert told["musictasks_oldest_queued_task_seconds"] == 0


def test_queued_tasks_and_their_age_are_told(tmp_path: Path):
    from musictasks.music import Settings, open_library

    engine = open_library(Settings.in_directory(tmp_path, durability="none"))
    try:
        engine.scan()  # not started: it waits
        with serving(engine) as served, served.client() as client:
            engine_time = engine.now() - (engine.tasks()[0].update_time or 0)
            told = figures(client)
            assert told["musictasks_queued_tasks"] == 1
            assert told["musictasks_oldest_queued_task_seconds"] >= engine_time
            assert client.get("/healthz").status_code == 503
    finally:
        engine.close()
