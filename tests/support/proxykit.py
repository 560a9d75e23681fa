"""nginx and Caddy before a server, configured by what docs/server.md says."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from attrs import frozen
from docskit import adapted, blocks

#: By what name docs/server.md has the server called.
NAME = "music.example.org"
PROXIES = ("nginx", "caddy")


@frozen
class Proxy:
    """A proxy that runs, and speaks TLS by a certificate of its own."""

    kind: str
    port: int
    certificate: Path
    log: Path

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """Of a client that knows the certificate."""
        return ssl.create_default_context(cafile=self.certificate)

    def client(self, **options: object) -> httpx.Client:
        options = {"base_url": self.url, "verify": self.trust, "timeout": 30, **options}
        return httpx.Client(trust_env=False, **options)  # type: ignore[arg-type]

    def connection(self) -> ssl.SSLSocket:
        """A connection of HTTP/1.1, for requests byte by byte."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return self.trust.wrap_socket(plain, server_hostname=NAME)


@contextmanager
def named() -> Iterator[None]:
    """The name leads to this machine as long as the block lasts, in this process."""
    found = socket.getaddrinfo

    def getaddrinfo(host: object, *arguments: object, **options: object) -> object:
        host = "127.0.0.1" if host in {NAME, NAME.encode()} else host
        return found(host, *arguments, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@contextmanager
def proxy(kind: str, directory: Path, server_port: int) -> Iterator[Proxy]:
    """A proxy before the server at this port of this machine; skips where it is missing."""
    program = shutil.which(kind, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(f"{kind} is missing (apt-get install {kind})")
    directory.mkdir(parents=True)
    port, certificate = _free_port(), directory / "music.pem"
    _make_certificate(certificate)
    (block,) = blocks("server.md", kind, "## Behind a proxy")
    block = adapted(block, **{"127.0.0.1:8080": f"127.0.0.1:{server_port}"})
    command = {"nginx": _nginx, "caddy": _caddy}[kind](directory, block, port)
    made = Proxy(kind, port, certificate, directory / "log")
    environment = {**os.environ, "HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    with made.log.open("wb") as log:
        process = subprocess.Popen(
            [program, *command], cwd=directory, env=environment, stdout=log, stderr=log
        )
    try:
        _wait_for(made, process)
        yield made
    finally:
        process.terminate()
        process.wait(30)


def _nginx(directory: Path, block: str, port: int) -> list[str]:
    """Its command, with the block included as a file of conf.d is."""
    block = adapted(
        block,
        **{"listen 443 ssl": f"listen 127.0.0.1:{port} ssl", "/etc/ssl/": f"{directory}/"},
    )
    (directory / "music.conf").write_text(block, "utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = [f"{kind}_temp_path {directory}/{kind};" for kind in kinds]
    user = ["user root;"] if os.geteuid() == 0 else []
    main = [*user, "daemon off;", f"pid {directory}/pid;", "error_log stderr;", "events {}"]
    main += ["http {", "access_log off;", *places, "include music.conf;", "}", ""]
    (directory / "nginx.conf").write_text("\n".join(main), "utf-8")
    return ["-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]


def _caddy(directory: Path, block: str, port: int) -> list[str]:
    """Its command; the certificate is ours, as docs/server.md has it."""
    own = f"tls {directory}/music.pem {directory}/music.key"
    block = adapted(
        block, **{f"{NAME} {{": f"{NAME}:{port} {{", "reverse_proxy": f"{own}\n    reverse_proxy"}
    )
    options = "{\n    admin off\n    auto_https disable_redirects\n}\n"
    (directory / "Caddyfile").write_text(options + block, "utf-8")
    return ["run", "--config", "Caddyfile"]


def _make_certificate(path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={NAME}"]
    made += ["-addext", f"subjectAltName=DNS:{NAME}", "-out", str(path)]
    made += ["-keyout", str(path.with_suffix(".key"))]
    subprocess.run(made, check=True, capture_output=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def _wait_for(made: Proxy, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with named(), made.client() as client:
                assert client.get("/healthz").status_code == 200, made.log.read_text()
                return
        except httpx.TransportError:
            running = process.poll() is None and time.monotonic() < deadline
            assert running, made.log.read_text("utf-8", "replace")
            time.sleep(0.02)
