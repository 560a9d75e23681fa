"""Clients of tus that others wrote, unmodified, bring music into a served library."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from clients import curl, needs_curl, needs_node, node, told
from damagingwire import DamagingWire
from rawhttp import Tus
from serverkit import BEARER, TOKEN, Served, served_library
from tusclient import client as tuspy
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

DATA = random.Random(1).randbytes(230_000)
SHA1 = hashlib.sha1(DATA).hexdigest()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_library(tmp_path_factory.mktemp("library"), token=TOKEN) as served:
        yield served


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "song.mp3"
    path.write_bytes(DATA)
    return path


def arrived(served: Served, url: str | None) -> Any:
    """The task of an upload of DATA that is complete."""
    assert url is not None
    record = served.engine.get(url.rpartition("/")[2])
    assert record.state not in {"waitforchunk", "uploadfailed"}
    assert record.source_checksum == SHA1
    return record


# -- tus-js-client and Uppy -----------------------------------------------------------------------


def tus_js(served: Served, scenario: str, file: Path, **options: Any) -> dict[str, Any]:
    options = {"headers": BEARER, "metadata": {"filename": file.name, "mood": "sad"}} | options
    return told(node("tus.mjs", scenario, f"{served.url}/uploads/", file, json.dumps(options)))


@needs_node
@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ({}, [230_000]),
        ({"chunkSize": 100_000}, [100_000, 100_000, 30_000]),
        ({"uploadDataDuringCreation": True}, [230_000]),
        ({"uploadDataDuringCreation": True, "chunkSize": 100_000}, [100_000, 100_000, 30_000]),
        ({"overridePatchMethod": True}, [230_000]),
        ({"metadata": {"checksum": f"sha1 {SHA1}"}, "addRequestId": True}, [230_000]),
    ],
)  # fmt: skip
def test_tus_js_client_uploads(
    served: Served, file: Path, options: dict[str, Any], accepted: list[int]
):
    """At once, in chunks, with the announcement, by POST alone, with the SHA-1 announced."""
    found = tus_js(served, "upload", file, **options)
    assert found["accepted"] == accepted
    record = arrived(served, found["url"])
    if "metadata" not in options:
        assert (record.source_filename, record.annotations) == ("song.mp3", {"mood": "sad"})


@needs_node
def test_tus_js_client_goes_on_in_a_new_object(served: Served, file: Path, tmp_path: Path):
    """Paused after its first chunk, and gone on with: the first bytes are not sent again."""
    found = tus_js(served, "resumed", file, storage=str(tmp_path / "urls"))
    assert found["url"] == found["first"]
    assert sum(found["accepted"]) == len(DATA) - 50_000
    arrived(served, found["url"])


@needs_node
def test_tus_js_client_ends_an_upload(served: Served, file: Path):
    found = tus_js(served, "terminated", file)
    token: dict[str, Any] = {**BEARER}
    target = "/uploads/" + found["url"].rpartition("/")[2]
    assert Tus(served.port).ask("HEAD", target, **token).status == 404


@needs_node
def test_tus_js_client_is_told_of_a_wrong_file(served: Served, file: Path):
    """It does not take it for a success, and gives up."""
    wrong = {"checksum": "sha1 " + hashlib.sha1(b"other").hexdigest()}
    found = tus_js(served, "upload", file, metadata=wrong, retryDelays=[])
    assert "460" in found["error"]


@needs_node
def test_uppy_uploads(served: Served, tmp_path: Path):
    """Two files at once; what it knows of them becomes annotations."""
    files = [tmp_path / "one.mp3", tmp_path / "two.mp3"]
    for number, path in enumerate(files):
        path.write_bytes(DATA + bytes([number]))
    with served_library(tmp_path / "library") as open_to_all:
        found = told(node("uppy.mjs", f"{open_to_all.url}/uploads/", *files))
        assert found["errors"] == []
        records = [open_to_all.engine.get(url.rpartition("/")[2]) for url in found["urls"]]
    assert {record.source_filename for record in records} == {"one.mp3", "two.mp3"}
    sums = {hashlib.sha1(path.read_bytes()).hexdigest() for path in files}
    assert {record.source_checksum for record in records} == sums
    assert all(record.annotations["mood"] == "sad" for record in records)


# -- tuspy ----------------------------------------------------------------------------------------


def test_tuspy_uploads_with_a_checksum_for_each_chunk(served: Served):
    """One of them is damaged on its way: 460, the offset stays, and the right one comes next."""
    known = {"filename": "song.mp3", "contenttype": "albumfile"}
    with DamagingWire(served.port, at=150_000) as wire:
        client = tuspy.TusClient(f"http://127.0.0.1:{wire.port}/uploads/", headers=BEARER)
        uploader = client.uploader(
            file_stream=BytesIO(DATA), chunk_size=100_000, metadata=known, upload_checksum=True
        )
        uploader.upload_chunk()
        assert uploader.offset == 100_000
        with pytest.raises(TusUploadFailed) as refused:
            uploader.upload_chunk()
        assert refused.value.status_code == 460
        assert uploader.get_offset() == 100_000
        uploader.upload()
        assert wire.damaged == 1
        assert arrived(served, uploader.url).source_filename == "song.mp3"


def test_tuspy_mends_a_damaged_chunk_by_itself(served: Served):
    with DamagingWire(served.port, at=150_000) as wire:
        client = tuspy.TusClient(f"http://127.0.0.1:{wire.port}/uploads/", headers=BEARER)
        uploader = client.uploader(
            file_stream=BytesIO(DATA),
            chunk_size=100_000,
            upload_checksum=True,
            retries=1,
            retry_delay=0,
        )
        uploader.upload()
        assert wire.damaged == 1
        arrived(served, uploader.url)


def test_tuspy_goes_on_in_a_new_object(served: Served):
    client = tuspy.TusClient(f"{served.url}/uploads/", headers=BEARER)
    first = client.uploader(file_stream=BytesIO(DATA), chunk_size=70_000)
    first.upload(stop_at=70_000)
    second = client.uploader(file_stream=BytesIO(DATA), url=first.url, chunk_size=70_000)
    assert second.offset == 70_000
    second.upload()
    arrived(served, first.url)


def test_tuspy_without_the_token_makes_nothing(served: Served):
    before = len(served.engine.tasks())
    client = tuspy.TusClient(f"{served.url}/uploads/")
    with pytest.raises(TusCommunicationError):
        client.uploader(file_stream=BytesIO(DATA)).upload()
    assert len(served.engine.tasks()) == before


# -- curl -----------------------------------------------------------------------------------------


@needs_curl
def test_curl_uploads(served: Served, file: Path):
    """Two commands: it asks first (Expect: 100-continue) and sends the file whole."""
    said = ["--header", f"Authorization: Bearer {TOKEN}", "--header", "Tus-Resumable: 1.0.0"]
    name = base64.b64encode(file.name.encode()).decode()
    made = curl(
        *("--request", "POST", *said, f"{served.url}/uploads/"),
        *(
            "--header",
            f"Upload-Length: {len(DATA)}",
            "--header",
            f"Upload-Metadata: filename {name}",
        ),
    )
    url = next(line for line in made.splitlines() if line.lower().startswith("location:"))[
        10:
    ].strip()
    sent = curl(
        *("--request", "PATCH", *said, url, "--data-binary", f"@{file}"),
        *("--header", "Upload-Offset: 0", "--header", "Expect: 100-continue"),
        *("--header", "Content-Type: application/offset+octet-stream"),
    )
    assert "204" in sent
    assert arrived(served, url).source_filename == "song.mp3"
