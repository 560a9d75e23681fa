"""Every line with curl in docs/server.md, run by a shell against a server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clients import needs_curl
from docskit import DOCS, blocks
from musictasks.library import sample_album
from rawhttp import Tus
from serverkit import TOKEN, Served, served_library

SONG = sample_album() / "01 Morgenroete.flac"
#: Says the status below each answer, and ends what would not end.
CURL = (
    "curl() { command curl --silent --show-error --max-time 2 "
    "--write-out '\\n%{http_code}' \"$@\"; }\n"
)

PAGE = (DOCS / "server.md").read_text("utf-8")

pytestmark = needs_curl


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_library(tmp_path_factory.mktemp("library")) as served:
        yield served


def lines(heading: str) -> list[str]:
    """The commands below a heading, those that go on in the next line whole."""
    text = "".join(blocks("server.md", "sh", heading)).replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("export ")]


def shell(command: str, directory: Path, **variables: str) -> tuple[str, int]:
    """What a command answered, and the status."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **variables}
    done = subprocess.run(
        ["bash", "-c", CURL + command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    ends = (0, 28) if "/api/events" in command else (0,)
    assert done.returncode in ends, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return body, int(status)


def uploaded(served: Served, **announced: str) -> str:
    """The id of a song that was received, each another one."""
    data = SONG.read_bytes() + str(len(served.engine.tasks())).encode()
    path = Tus(served.port).create(len(data), filename=SONG.name, **announced)
    Tus(served.port).patch(path, 0, data)
    return path.rpartition("/")[2]


def ready(served: Served) -> str:
    task_id = uploaded(served)
    served.engine.wait(task_id, "readyforintegration", timeout=30)
    return task_id


def failed(served: Served) -> str:
    """One whose bytes are not those that were announced."""
    return uploaded(served, checksum=f"sha1 {'a' * 40}")


def test_the_lines_for_all_libraries_are_answered(served: Served, tmp_path: Path):
    made: dict[str, Callable[[Served], str]] = {"/retry": failed}
    found = [line for line in lines("## The API") if "$TOKEN" not in line and "cookies" not in line]
    general = found[: found.index(next(line for line in found if "/api/library" in line))]
    assert len(general) == 13
    for line in general:
        make = next((make for part, make in made.items() if part in line), ready)
        task_id = make(served) if "$ID" in line else ""
        body, status = shell(line, tmp_path, MUSIC=served.url, ID=task_id)
        assert status < 300, line + body
        if task_id and "DELETE" not in line and ".svg" not in line:
            assert task_id in body


def test_the_lines_for_music_bring_an_album_in(served: Served, tmp_path: Path):
    """In their order: a song is put at its place, imported, and its album gets a cover."""
    found = lines("## The API")
    music = found[found.index(next(line for line in found if "/api/library" in line)) :]
    assert len(music) == 5
    folder = served.engine.settings.music / "A/2020 - B"
    folder.mkdir(parents=True)
    shutil.copyfile(sample_album() / "cover.png", folder / "cover.jpg")
    song = ready(served)
    for line in music:
        body, status = shell(line, tmp_path, MUSIC=served.url, ID=song)
        assert status < 300, line + body
        begun = re.search(r'^\{"id":"([^"]+)"', body)
        if "/integration" in line:
            served.engine.wait(song, "readyforimport", timeout=30)
        elif begun is not None:
            served.engine.wait(begun[1], {"importcomplete", "fsscancomplete"}, timeout=30)
    assert (folder / "01 C.flac").is_file()


def test_the_lines_of_an_upload_bring_a_song(served: Served, tmp_path: Path):
    """One after the other; the address comes from the first answer."""
    shutil.copyfile(SONG, tmp_path / "song.flac")
    assigned, *commands = lines("## Uploads")
    assert assigned.startswith("LENGTH=")
    assert len(commands) == 4
    location = ""
    for command, wanted in zip(commands, (201, 204, 200, 204), strict=True):
        body, status = shell(
            f"{assigned}\n{command}", tmp_path, MUSIC=served.url, LOCATION=location
        )
        assert status == wanted, command + body
        location = location or re.findall(r"^location: (\S+)", body, re.M | re.I)[0]
        if status == 200:
            assert f"upload-offset: {SONG.stat().st_size}\n" in body.replace("\r", "").lower()
    upload = "/uploads/" + location.rpartition("/")[2]
    assert Tus(served.port).ask("HEAD", upload).status == 404


def test_the_lines_with_a_token_open_the_door_and_close_it(tmp_path: Path):
    with served_library(tmp_path / "library", token=TOKEN) as served:
        given = {"MUSIC": served.url, "TOKEN": TOKEN}
        enter, leave = (line for line in lines("## The API") if "cookies" in line)
        (header,) = re.findall(r'`(-H "Authorization: [^`]*)`', PAGE)
        assert shell(f"curl {header} $MUSIC/api/tasks", tmp_path, **given)[1] == 200
        assert shell(enter, tmp_path, **given)[1] == 303
        asked = "curl -b cookies $MUSIC/api/tasks"
        assert shell(asked, tmp_path, **given)[1] == 200
        assert shell(leave, tmp_path, **given)[1] == 303
        assert shell(asked, tmp_path, **given)[1] == 401
        (tmp_path / "header").write_text(f"Authorization: Bearer {TOKEN}\n")
        assert shell("curl -H @header $MUSIC/api/tasks", tmp_path, **given)[1] == 200


def test_no_line_with_curl_is_left_out():
    """Those of the page are below the headings that are run here, and the README has none."""
    run = [*lines("## The API"), *lines("## Uploads")]
    assert sum("curl " in line for line in run) == len(re.findall(r"^curl ", PAGE, re.MULTILINE))
    assert "\ncurl " not in (DOCS.parent / "README.md").read_text("utf-8")
