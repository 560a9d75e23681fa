"""`musictasks serve` as a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from clikit import run
from serverkit import ServerProcess


def test_it_makes_a_library_serves_it_and_stops_cleanly(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "library") as server:
        with server.client() as client:
            assert client.get("/healthz").json() == {"status": "ok"}
        status, output = server.stop()
    assert status == 0, output
    assert "Traceback" not in output
    assert (tmp_path / "library" / "music").is_dir()


def test_it_starts_again_at_its_address_after_a_kill(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "library") as server:
        port = server.port
        server.kill()
        server.start()
        assert server.port == port


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUSICTASKS_TOKEN", raising=False)


def test_without_a_token_it_does_not_listen_to_other_machines(tmp_path: Path) -> None:
    status, output, complaints = run("serve", "--library", tmp_path, "--host", "0.0.0.0")
    assert (status, output) == (1, "")
    assert "there is no token" in complaints
    assert "--token-file" in complaints
    assert not any(tmp_path.iterdir())
