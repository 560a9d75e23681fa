"""A server that is killed again and again while a client uploads an album: nobody notices."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from archivekit import album_files, make_zip
from clients import needs_node, node, told
from killlibraries import snapshot
from serverkit import ServerProcess, wait_until
from tusclient import client as tuspy

#: Uploads a file, and returns the address of the upload once it is complete.
Client = Callable[[str, Path], str]

TARGET = "Artist/2020 - Album"
METADATA = {"filename": "album.zip", "contenttype": "album"}
#: With a booklet that is large, so that there is something to be cut.
FILES = album_files()
FILES["Album/booklet.pdf"] += random.Random(4).randbytes(3_000_000)
ALBUM = make_zip(FILES)
CHUNK = 200_000


def tus_js_client(url: str, path: Path) -> str:
    """The address of the upload, once it is complete."""
    options = {"metadata": METADATA, "chunkSize": CHUNK}
    found = told(node("tus.mjs", "upload", url, path, json.dumps(options)), 300)
    assert "error" not in found, found
    return found["url"]


def tuspy_client(url: str, path: Path) -> str:
    """With a SHA-1 for each chunk."""
    uploader = tuspy.TusClient(url).uploader(
        file_stream=BytesIO(path.read_bytes()),
        chunk_size=CHUNK,
        metadata=METADATA,
        upload_checksum=True,
        retries=900,
        retry_delay=0.05,  # pyright: ignore[reportArgumentType]
    )
    uploader.upload()
    assert uploader.url is not None
    return uploader.url


CLIENTS = [pytest.param(tus_js_client, marks=needs_node), tuspy_client]


def brought(root: Path, client: Client, moments: list[int]) -> dict[str, Any]:
    """The library after an album came in; killed when so many bytes of it are on the disk."""
    root.mkdir()
    (root / "album.zip").write_bytes(ALBUM)
    urls: list[str] = []
    with ServerProcess(root / "library") as server:
        endpoint = f"{server.url}/uploads/"
        upload = threading.Thread(target=lambda: urls.append(client(endpoint, root / "album.zip")))
        upload.start()
        for moment in moments:
            wait_until(lambda moment=moment: on_disk(root) >= moment)
            server.kill()
            server.start()
        upload.join(120)
        (url,) = urls
        task_id = url.rpartition("/")[2]
        integrate(server, task_id)
    found = snapshot(root / "library")
    return {
        name: it
        for name, it in found.items()
        if not name.startswith(("data/tasks", "data/uploads"))
    }


def on_disk(root: Path) -> int:
    """The bytes of the upload that are there, whether they count yet or not; -1 before it."""
    files = (root / "library").glob("data/uploads/*/album-*")
    sizes = [path.stat().st_size for path in files]
    begun = any((root / "library").glob("data/tasks/*.json"))
    return max(sizes, default=0 if begun else -1)


def integrate(server: ServerProcess, task_id: str) -> None:
    with server.client() as client:

        def state() -> str:
            return client.get(f"/api/tasks/{task_id}").json()["state"]

        wait_until(lambda: state() == "readyforintegration")
        wishes = {"target": TARGET, "then_import": True, "then_artwork": True}
        assert client.post(f"/api/tasks/{task_id}/integration", json=wishes).status_code == 200
        wait_until(lambda: state() == "importcomplete")


def moments(number: int, client: Client, seed: int) -> list[int]:
    """Spread over the upload, from its beginning to its last bytes."""
    chance = random.Random(seed)
    step = len(ALBUM) // number
    # tuspy gives up where its announcement is not answered.
    first = 0 if client is tus_js_client else 1
    return [first, *(step * n + chance.randrange(step) for n in range(1, number))]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found = brought(tmp_path_factory.mktemp("undisturbed") / "root", tuspy_client, [])
    assert found[f"music/{TARGET}"]
    return found


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_that_is_killed_in_an_upload_loses_nothing(
    tmp_path: Path, undisturbed: dict[str, Any], client: Client
) -> None:
    """Started again each time: the client goes on by itself, the library is the same."""
    assert brought(tmp_path / "root", client, moments(4, client, 1)) == undisturbed


@pytest.mark.long
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("seed", range(5))
def test_a_server_that_is_killed_at_100_moments_loses_nothing(
    tmp_path: Path, undisturbed: dict[str, Any], client: Client, seed: int
) -> None:
    """Ten at each upload."""
    assert brought(tmp_path / "root", client, moments(10, client, seed)) == undisturbed
