"""Who gets in: each attacker would be let in without the rule that stops it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from musictasks.errors import SettingsError
from musictasks.server import ServerSettings
from serverkit import BEARER, TOKEN, Served, served_library
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

EVIL = "http://evil.example"
SCANS = "/api/scans"


# One server for all attackers: none of them changes anything, and each test looks.
@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_library(tmp_path_factory.mktemp("open")) as served:
        yield served


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_library(tmp_path_factory.mktemp("guarded"), token=TOKEN) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


# -- other origins ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin", [EVIL, "null", "http://localhost:1", "https://127.0.0.1", "http://127.0.0.1.evil"]
)
def test_a_page_of_another_origin_changes_nothing(served, client, origin):
    """fetch with a body of JSON or of no type that needs a preflight."""
    answer = client.post(SCANS, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["type"]) == (403, "OriginRefused")
    assert "access-control-allow-origin" not in answer.headers
    assert served.engine.tasks() == []


def test_a_form_of_another_origin_changes_nothing(served, client):
    headers = {"Origin": EVIL, "Content-Type": "application/x-www-form-urlencoded"}
    assert client.post(SCANS, content="a=b", headers=headers).status_code == 403
    assert served.engine.tasks() == []


def test_a_form_is_no_json_even_of_our_own_origin(served, client):
    headers = {"Origin": served.url, "Content-Type": "text/plain"}
    answer = client.post(SCANS, content="{}", headers=headers)
    assert answer.status_code == 415
    assert served.engine.tasks() == []


def test_without_an_origin_the_browser_says_what_site_it_is_of(served, client):
    for site in ("cross-site", "same-site"):
        assert client.post(SCANS, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert served.engine.tasks() == []


def test_a_link_of_another_site_may_be_followed(client):
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/api/tasks", headers=followed).status_code == 200
    shown = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/api/events", headers=shown).status_code == 403


def test_an_event_source_of_another_origin_takes_no_stream(served, client):
    headers = {"Origin": EVIL, "Accept": "text/event-stream"}
    assert client.get("/api/events", headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/musicdb", "/else"])
def test_a_websocket_of_another_origin_is_refused(served, path):
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://{served.host}{path}", origin=Origin(EVIL), proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_our_own_origin_and_none_get_in(tmp_path: Path):
    with served_library(tmp_path) as served, served.client() as client:
        assert client.post(SCANS, headers={"Origin": served.url}).status_code == 201
        assert client.post(SCANS).status_code == 201


def test_a_preflight_of_another_origin_allows_nothing(client):
    headers = {"Origin": EVIL, "Access-Control-Request-Method": "DELETE"}
    answer = client.options("/api/tasks/x", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_only_named_origins_may_use_it(tmp_path: Path):
    friend = "https://friend.example"
    with (
        served_library(tmp_path, origins=[friend], token=TOKEN) as served,
        served.client() as client,
    ):
        asked = {"Origin": friend, "Access-Control-Request-Method": "POST"}
        answer = client.options(SCANS, headers=asked)  # without a token, as browsers do
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == friend
        assert "authorization" in answer.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-credentials" not in answer.headers
        answer = client.post(SCANS, headers={"Origin": friend})
        assert answer.status_code == 401
        answer = client.post(SCANS, headers={"Origin": friend, **BEARER})
        assert answer.status_code == 201
        assert answer.headers["access-control-allow-origin"] == friend
        assert client.post(SCANS, headers={"Origin": EVIL, **BEARER}).status_code == 403


# -- rebinding ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil", "@localhost",
     "localhost/evil", "127.0.0.1:80:80", "192.0.2.1", "", "[::2]"],
)  # fmt: skip
def test_a_name_that_was_made_to_lead_here_is_refused(client, host):
    """The page's own origin is right then: the name alone tells."""
    headers = {"Host": host, "Origin": f"http://{host}"}
    for answer in (client.get("/api/tasks", headers=headers), client.post(SCANS, headers=headers)):
        assert (answer.status_code, answer.json()["type"]) == (421, "HostRefused")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8", "localhost."]
)
def test_the_names_of_this_machine_get_in(client, host):
    assert client.get("/api/tasks", headers={"Host": host}).status_code == 200


def test_a_websocket_by_a_strange_name_is_refused(served):
    with (
        pytest.raises(InvalidStatus),
        connect(
            "ws://evil.example/musicdb",
            address=("127.0.0.1", served.port),
            proxy=None,
            origin=Origin(EVIL),
        ),
    ):
        pass


def test_a_name_can_be_allowed(tmp_path: Path):
    with (
        served_library(tmp_path, host_names=["music.example"]) as served,
        served.client() as client,
    ):
        assert client.get("/api/tasks", headers={"Host": "Music.example:80"}).status_code == 200
        assert client.get("/api/tasks", headers={"Host": "x.music.example"}).status_code == 421


def test_what_anybody_says_to_be_forwarded_does_not_count(served, client):
    for name in ("X-Forwarded-Host", "Forwarded"):
        value = "host=localhost" if name == "Forwarded" else "localhost"
        assert client.get("/api/tasks", headers={"Host": "evil", name: value}).status_code == 421


def test_what_a_trusted_proxy_says_counts(tmp_path: Path):
    settings = {"trusted_proxies": ["127.0.0.1"], "host_names": ["music.example"]}
    own = "https://music.example"
    with served_library(tmp_path, **settings) as served, served.client() as client:
        for headers in (
            {"X-Forwarded-Host": "evil, music.example", "X-Forwarded-Proto": "https"},
            {"Forwarded": 'for=1.2.3.4;host=evil, for=5;proto=https;host="music.example"'},
        ):
            assert client.post(SCANS, headers={**headers, "Origin": own}).status_code == 201
        answer = client.get("/api/tasks", headers={"X-Forwarded-Host": "evil"})
        assert answer.status_code == 421


@pytest.mark.parametrize(
    "said", ["host=localhost", "proto=http", 'for=1.2.3.4;host="music.example";proto=http']
)
def test_a_proxy_that_passes_on_what_a_client_says_does_not_lend_it_its_trust(tmp_path, said):
    """One of the two headers is the proxy's; nobody can tell which."""
    settings = {"trusted_proxies": ["127.0.0.1"], "host_names": ["music.example"]}
    own = {"X-Forwarded-Host": "music.example", "X-Forwarded-Proto": "https"}
    with served_library(tmp_path, **settings) as served, served.client() as client:
        assert client.get("/api/tasks", headers={**own, "Forwarded": said}).status_code == 421
        agreed = {**own, "Forwarded": "for=1.2.3.4;host=music.example;proto=https"}
        assert client.get("/api/tasks", headers=agreed).status_code == 200


@pytest.mark.parametrize(
    ("client_s", "proxy_s"),
    [
        (("X-Forwarded-Host", "localhost"), ("X-Forwarded-Host", "evil")),
        (("Forwarded", "host=localhost"), ("forwarded", "for=1.2.3.4;host=evil")),
    ],
)
def test_a_proxy_s_line_counts_and_not_the_client_s_before_it(tmp_path, client_s, proxy_s):
    with (
        served_library(tmp_path, trusted_proxies=["127.0.0.1"]) as served,
        served.client() as client,
    ):
        host = ("Host", "localhost")
        assert client.get("/api/tasks", headers=[host, client_s]).status_code == 200
        assert client.get("/api/tasks", headers=[host, client_s, proxy_s]).status_code == 421


@pytest.mark.parametrize(
    ("name", "value"), [("X-Forwarded-Proto", "{}"), ("Forwarded", "proto={}")]
)
def test_a_proxy_s_line_says_the_scheme(tmp_path, name, value):
    lines = [(name, value.format(scheme)) for scheme in ("http", "https")]
    with (
        served_library(tmp_path, trusted_proxies=["127.0.0.1"]) as served,
        served.client() as client,
    ):
        host = ("Host", "localhost")
        for origin, status in (("https://localhost", 201), ("http://localhost", 403)):
            headers = [host, ("Origin", origin), *lines]
            assert client.post(SCANS, headers=headers).status_code == status


# -- the token ----------------------------------------------------------------------------------

CLOSED = [
    ("GET", "/api/tasks"), ("GET", "/api/events"), ("GET", "/openapi.json"), ("GET", "/metrics"),
    ("POST", "/api/scans"), ("DELETE", "/api/tasks/x"), ("GET", "/"), ("POST", "/uploads/"),
    ("GET", "/no-such"), ("GET", "/healthz/"), ("GET", "/Login"), ("GET", "//page/x"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_without_the_token_nothing_is_open(guarded, method, path):
    with guarded.client() as client:
        for headers in (
            {},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": f"Bearer {TOKEN[:-1]}"},
            {"Authorization": "Bearer"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": f"musictasks={TOKEN}"},
            {"Authorization": "Bearer \xff"},
        ):
            headers = {name: value.encode("latin-1") for name, value in headers.items()}
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 401, headers
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert client.request(method, f"{path}?token={TOKEN}&key={TOKEN}").status_code == 401
    assert guarded.engine.tasks() == []


def test_a_websocket_of_one_s_own_needs_the_token(guarded):
    """Only MusicDB's brings it in its packets."""

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("in")
        await socket.close()

    guarded.app.router.routes.append(WebSocketRoute("/own", endpoint))
    url = f"ws://{guarded.host}/own"
    with pytest.raises(InvalidStatus), connect(url, proxy=None):
        pass
    with connect(url, proxy=None, additional_headers=BEARER) as socket:
        assert socket.recv() == "in"


def test_with_the_token_it_is_open(tmp_path: Path):
    with served_library(tmp_path, token=TOKEN) as served, served.client(headers=BEARER) as client:
        assert client.get("/api/tasks").status_code == 200
        assert client.post(SCANS).status_code == 201


def test_a_browser_without_a_cookie_is_led_to_the_form(guarded):
    with guarded.client(headers={"Accept": "text/html,*/*"}) as client:
        answer = client.get("/api/tasks")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_the_form_gives_a_cookie_that_no_script_and_no_other_site_has(guarded):
    with guarded.client() as client:
        answer = client.post("/login", data={"token": f" {TOKEN}\n"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert TOKEN not in cookie
        for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age="):
            assert word in cookie
        assert client.get("/api/tasks").status_code == 200
        client.post("/logout")
        assert client.get("/api/tasks").status_code == 401


def test_a_wrong_token_in_the_form_gives_none(guarded):
    with guarded.client() as client:
        for data in ({"token": "wrong"}, {"token": ""}, {}):
            answer = client.post("/login", data=data)
            assert answer.headers["location"] == "/login?wrong"
            assert "set-cookie" not in answer.headers


def test_behind_tls_the_cookie_is_for_tls_alone(tmp_path: Path):
    with (
        served_library(tmp_path, token=TOKEN, trusted_proxies=["127.0.0.1"]) as served,
        served.client(headers={"X-Forwarded-Proto": "https"}) as client,
    ):
        assert "Secure" in client.post("/login", data={"token": TOKEN}).headers["set-cookie"]


def test_only_with_a_token_it_listens_to_others():
    with pytest.raises(SettingsError, match="there is no token"):
        ServerSettings(host="0.0.0.0")
    assert ServerSettings(host="0.0.0.0", token=TOKEN).host == "0.0.0.0"
    with pytest.raises(SettingsError, match="less than 8"):
        ServerSettings(token="short")


@pytest.mark.parametrize(
    "token",
    [
        "schlüssel-1234",
        " a space before it",
        "a space behind it ",
        "two\nlines",
        "tab\ttab-tab",
        "bell\a-bell",
        "\x7f" * 9,
    ],
)
def test_a_token_that_no_client_can_send_is_none(token):
    with pytest.raises(SettingsError, match="openssl rand") as refused:
        ServerSettings(token=token)
    assert token not in str(refused.value)
    for token in ("".join(map(chr, range(0x21, 0x7F))), "correct horse battery staple"):
        assert ServerSettings(token=token).token == token


@pytest.mark.parametrize("name", ["body_pause_s", "key_pause_s"])
def test_a_pause_takes_some_time(name):
    """One of none would end every connection at once; one without end is none to the system."""
    for pause_s in (0, -1, float("inf"), float("nan")):
        settings: dict[str, Any] = {name: pause_s}
        with pytest.raises(ValueError, match=name):
            ServerSettings(**settings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "::1", "localhost"])
def test_the_address_that_is_said_lets_in(tmp_path: Path, host: str):
    """Also where the server listens on all addresses, and has no name that it knows."""
    if ":" in host and not has_ipv6():
        pytest.skip("there is no IPv6")
    with (
        served_library(tmp_path, host=host, token=TOKEN) as served,
        served.client(headers=BEARER) as client,
    ):
        assert client.get("/api/tasks").status_code == 200
        assert client.post(SCANS, headers={"Origin": served.url}).status_code != 403


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_the_token_is_in_no_text():
    assert TOKEN not in repr(ServerSettings(token=TOKEN))


# -- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/api/tasks", "/api/tasks/none", "/no-such"])
def test_every_answer_says_what_a_browser_may_do_with_it(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


# -- bodies -------------------------------------------------------------------------------------


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path):
    head = "POST /api/scans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with served_library(tmp_path, body_pause_s=0.2) as served:
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
            started = time.monotonic()
            connection.sendall(f"{head}Content-Length: 10\r\n\r\n{{".encode())
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert 0.15 < time.monotonic() - started < 5
        assert served.engine.tasks() == []


def test_a_body_that_comes_slowly_but_steadily_is_taken(tmp_path: Path):
    def pieces() -> Iterator[bytes]:
        for byte in b'{"contenttype": "album"}':
            time.sleep(0.02)
            yield bytes([byte])

    headers = {"Content-Type": "application/json"}
    with served_library(tmp_path, body_pause_s=0.3) as served, served.client() as client:
        answer = client.post("/api/imports", content=pieces(), headers=headers)
        assert answer.status_code == 422
        assert answer.json()["member"] == "path"


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_beyond_the_bound_is_not_read(tmp_path: Path, chunked):
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 100_000
            yield b" " * 100_000

    headers = {"Content-Type": "application/json"}
    if not chunked:
        headers["Content-Length"] = str(1_000_000_000)
    with served_library(tmp_path, json_bytes=1000) as served, served.client() as client:
        try:
            status = client.post(SCANS, content=pieces(), headers=headers).status_code
        except httpx.WriteError:  # closed before all was sent
            status = 413
        assert status == 413
        # What the system holds for both ends is sent, too: tens of megabytes.
        assert sent < 200_000_000
        assert served.engine.tasks() == []


HEAD = "POST /api/scans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("size", [2_000_000, 12_000_000, 1 << 40])
def test_who_is_refused_while_sending_gets_the_answer(guarded, size):
    """Who sends all before it reads, too, up to a bound; no reset takes the answer away."""
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as connection:
        connection.sendall(f"{HEAD}Content-Length: {size}\r\n\r\n".encode())
        for _ in range(min(size, 12_000_000) // 100_000):
            connection.sendall(b" " * 100_000)
        time.sleep(0.2)  # a reset would have come by now
        answer = b""
        while b"}" not in answer:
            answer += connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close" in answer.lower()
        if size <= 12_000_000:
            assert connection.recv(1) == b""


def test_what_is_refused_is_not_read_for_ever(guarded):
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as connection:
        connection.sendall(f"{HEAD}Content-Length: {1 << 40}\r\n\r\n".encode())
        sent = 0
        with pytest.raises(OSError):  # noqa: PT011, PT012
            while sent < 200_000_000:
                connection.sendall(b" " * 1_000_000)
                sent += 1_000_000


def test_who_asks_before_it_sends_a_body_is_not_waited_for(guarded):
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as connection:
        began = time.monotonic()
        size = "Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(f"{HEAD}{size}".encode())
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert time.monotonic() - began < 8


def test_a_body_that_was_asked_for_first_and_refused_is_waited_for_by_nobody(tmp_path: Path):
    """It may never come: what comes next would be taken for it."""
    with (
        served_library(tmp_path, token="a-token-for-tests") as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=10) as client,
    ):
        client.sendall(HEAD.encode() + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer
