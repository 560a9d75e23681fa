"""`musictasks serve` as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from clikit import copy_album, run
from forking import ForkedCommand
from serverkit import ServerProcess, make_certificate


def test_it_makes_a_library_serves_it_and_stops_cleanly(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "library", anew=True) as server:
        with server.client() as client:
            assert client.get("/healthz").json() == {"status": "ok"}
        status, output = server.stop()
    assert status == 0, output
    assert "Traceback" not in output
    assert (tmp_path / "library" / "music").is_dir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_from_its_address_on(tmp_path: Path, number: int) -> None:
    """A service manager, or a test, may stop it the moment that it is there."""
    command = ["serve", "--library", str(tmp_path), "--port", "0"]
    for _ in range(5):
        pipe = subprocess.PIPE
        with ForkedCommand(command, stdout=pipe, stderr=subprocess.STDOUT, text=True) as server:
            assert server.stdout is not None
            assert " at http" in server.stdout.readline()
            server.send_signal(number)
            output, _ = server.communicate(timeout=30)
        assert server.returncode == 0, output
        assert "never awaited" not in output
        assert "interrupted" not in output


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


def config(tmp_path: Path, *lines: str) -> Path:
    """A musicdb.ini of a library, with these lines in [websocket]."""
    path = tmp_path / "musicdb.ini"
    directories = f"[directories]\nmusic={tmp_path}/l/music\ndata={tmp_path}/l/data\n"
    path.write_text(directories + "\n".join(["[websocket]", *lines, ""]), "utf-8")
    return path


def test_it_listens_where_musicdb_did(tmp_path: Path) -> None:
    """`bind` and `port` count, and an option counts more."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = config(tmp_path, "bind = 127.0.0.1", f"port = {port}", "url = ignored")
        status, _, complaints = run("serve", "--config", path)
        assert status == 1
        assert f"127.0.0.1 port {port} cannot be listened on" in complaints
    options = ("--config", str(path), "--port", "0", "--host", "localhost")
    with ServerProcess(None, options=options) as server:
        assert server.port != port


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("port = 70000", "[websocket] port: '70000' is not a port"),
        ("bind = 0.0.0.0", "there is no token"),
        ("cert = /none.pem", "the certificate /none.pem cannot be used: No such file"),
    ],
)
def test_what_cannot_be_in_its_settings_is_said(tmp_path: Path, line: str, said: str) -> None:
    status, output, complaints = run("serve", "--config", config(tmp_path, line))
    assert (status, output) == (1, "")
    assert said in complaints.replace("\n", " ")
    assert "Traceback" not in complaints


def test_it_speaks_tls_with_musicdb_s_certificate(tmp_path: Path) -> None:
    cert = make_certificate(tmp_path / "cert.pem")
    path = config(tmp_path, f"cert = {cert}", f"key = {cert.with_suffix('.key')}", "port = 0")
    with ServerProcess(None, options=("--config", str(path)), certificate=cert) as server:
        assert server.url.startswith("https://")


def test_the_token_of_a_file_and_of_the_environment_count(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("token-of-the-file\n")
    options = ("--token-file", str(file))
    with ServerProcess(tmp_path / "a", token="token-of-the-environment", options=options) as one:
        assert status_of(one, "token-of-the-file") == 200
        assert status_of(one, "token-of-the-environment") == 401
    with ServerProcess(tmp_path / "b", token="token-of-the-environment") as two:
        assert status_of(two, "token-of-the-environment") == 200
        assert status_of(two, "another-token") == 401


@pytest.mark.parametrize("command", ["serve", "add"])
@pytest.mark.parametrize("token", ["пароль-12345".encode(), b"two\nlines-of-it", b"\xff" * 9])
def test_a_token_that_cannot_be_sent_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, token: bytes
) -> None:
    """It is said where it stands, but not what it is; nothing is begun."""
    album = copy_album(tmp_path / "album")
    file = tmp_path / "token"
    file.write_bytes(token)
    if command == "serve":
        asked = ("serve", "--library", tmp_path / "library", "--port", "0")
    else:
        asked = ("add", album, "--server", "http://127.0.0.1:9")
    monkeypatch.setenv("MUSICTASKS_TOKEN", os.fsdecode(token))
    for options, source in ((("--token-file", file), "token"), ((), "MUSICTASKS_TOKEN")):
        status, output, complaints = run(*asked, *options)
        assert (status, output) == (1, "")
        said = " ".join(complaints.split())
        assert f"{source}: a token is one line of letters" in said
        assert "openssl rand -hex 24" in said
        assert os.fsdecode(token) not in complaints
    assert not (tmp_path / "library").exists()


def status_of(server: ServerProcess, token: str) -> int:
    with server.client() as client:
        headers = {"Authorization": f"Bearer {token}"}
        return client.get("/api/tasks", headers=headers).status_code


def test_a_second_server_of_a_library_says_who_has_it(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        status, _, complaints = run("serve", "--library", tmp_path, "--port", "0")
        assert status == 1
        assert f"in use by process {server.pid}" in complaints
