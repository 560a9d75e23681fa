"""Servers that tests talk to: in a thread of this process, or a process that can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field, frozen
from forking import ForkedCommand
from musictasks.engine import Engine
from musictasks.music import MusicEngine, Settings, open_library
from musictasks.server import ServerSettings, make_app
from musictasks.server.serving import DoorServer, address_of, bound_socket
from musictasks.uploads import Uploads

TOKEN = "a-token-for-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@frozen
class Served:
    """A server of this process: a real uvicorn on a real socket."""

    #: Without the last slash: `http://127.0.0.1:40123`.
    url: str
    engine: Any
    #: The ASGI application; `app.state.door` is its door.
    app: Any

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def host(self) -> str:
        """What belongs in the header `Host`."""
        return self.url.partition("//")[2]

    def client(self, **options: Any) -> httpx.Client:
        """A client that knows the address, and no proxy of the environment."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30, **options)


@contextmanager
def serving(
    engine: Engine[Any],
    *,
    uploads: Uploads | None = None,
    certificate: Path | None = None,
    **settings: Any,
) -> Iterator[Served]:
    """Serves an engine that is the caller's, on a free port, from a thread.

    `certificate`: of `make_certificate`; then it speaks TLS.
    """
    chosen = ServerSettings(**{"port": 0, **settings})
    app = make_app(engine, chosen, uploads=uploads)
    with bound_socket(chosen) as listener:
        server = DoorServer(app, chosen, certificate=certificate)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive())
            yield Served(address_of(listener).rstrip("/"), engine, app)
        finally:
            server.stop()
            thread.join(30)
            assert not thread.is_alive(), "the server does not stop"


@contextmanager
def served_library(root: Path, *, library: Any = None, **settings: Any) -> Iterator[Served]:
    """A served library in a directory: real handlers, no durability, small artwork.

    `library`: settings of the library; the others are those of the server.
    """
    with open_served(root, **(library or {})) as engine, serving(engine, **settings) as served:
        yield served


@contextmanager
def open_served(root: Path, **settings: Any) -> Iterator[MusicEngine]:
    """The engine of `served_library`, started."""
    chosen = {"durability": "none", "workers": 2, "artwork_scales": (16,), **settings}
    with open_library(Settings.in_directory(root, **chosen)) as engine:
        yield engine


def make_certificate(file: Path) -> Path:
    """A certificate for localhost and its key, in one file; skips the test without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    key = file.with_suffix(".key")
    done = [*made, "-keyout", str(key), "-out", str(file)]
    subprocess.run(done, check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + key.read_bytes())
    return file


def wait_until(condition: Any, timeout_s: float = 30) -> None:
    """Waits until something holds that is looked at again and again."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@define
class ServerProcess:
    """`musictasks serve` as a process, which can be killed and started again at its address.

    It is forked from one that is warm, or begun anew.
    """

    #: None: the options say which library.
    root: Path | None
    token: str | None = None
    options: tuple[str, ...] = ()
    port: int = 0
    #: Of a server that speaks TLS.
    certificate: Path | None = None
    anew: bool = False
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        if self.certificate is not None:
            return f"https://localhost:{self.port}"
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def client(self, **options: Any) -> httpx.Client:
        if self.certificate is not None:
            options["verify"] = ssl.create_default_context(cafile=self.certificate)
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30, **options)

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        environment = {**os.environ, **({"MUSICTASKS_TOKEN": self.token} if self.token else {})}
        command = ["serve", *([] if self.root is None else ["--library", str(self.root)])]
        command += ["--port", str(self.port), *self.options]
        kind: type[subprocess.Popen[str]] = ForkedCommand
        if self.anew:
            kind, command = subprocess.Popen, [sys.executable, "-m", "musictasks.cli", *command]
        self._process = kind(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert " at http" in line, line + self._process.stdout.read()
        self.port = int(line.strip().rstrip("/").rpartition(":")[2])
        with self.client() as client:
            assert client.get("/healthz").status_code == 200

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def stop(self) -> tuple[int, str]:
        """SIGTERM, as a service manager does; the exit status and what it said since the start."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._end()

    def _end(self) -> tuple[int, str]:
        assert self._process is not None
        output, _ = self._process.communicate(timeout=30)
        status, self._process = self._process.returncode, None
        return status, output

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()
