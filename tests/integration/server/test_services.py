"""The unit of systemd and the container file in docs/server.md, as far as they run anywhere."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from docskit import DOCS, adapted, blocks
from serverkit import TOKEN, ServerProcess

PROGRAM = str(Path(sys.executable).with_name("musictasks"))
HEADING = "## As a service"


def test_systemd_has_nothing_against_the_unit(tmp_path: Path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    (unit,) = blocks("server.md", "ini", HEADING)
    unit = adapted(unit, **{"/opt/musictasks/bin/musictasks": PROGRAM})
    (tmp_path / "musictasks.service").write_text(unit, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "./musictasks.service"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "musictasks" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_command_of_the_unit_serves(tmp_path: Path):
    """With the token where LoadCredential puts it, and no way in without."""
    (unit,) = blocks("server.md", "ini", HEADING)
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert re.search(r"^LoadCredential=token:", unit, re.MULTILINE)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    command = adapted(command, **{"/srv/music": f"{tmp_path}/music", "%d": str(tmp_path)})
    program, verb, *options = shlex.split(command)
    assert (Path(program).name, verb) == ("musictasks", "serve")
    check(ServerProcess(None, options=tuple(options), anew=True))


def test_the_command_of_the_container_serves(tmp_path: Path):
    """With the token of the environment; where its health is asked, it is told."""
    (file,) = blocks("server.md", "dockerfile", HEADING)
    program, verb, *options = container_list(file, "ENTRYPOINT")
    assert (program, verb) == ("musictasks", "serve")
    options = [option.replace("/library", f"{tmp_path}/library") for option in options]
    server = ServerProcess(None, token=TOKEN, options=tuple(options), anew=True)
    with server:
        python, *arguments = container_list(file, "HEALTHCHECK CMD")
        assert python == "python"
        asked = [adapted(argument, **{":8080": f":{server.port}"}) for argument in arguments[1:]]
        subprocess.run([sys.executable, arguments[0], *asked], check=True)
    check(server)


def container_list(file: str, instruction: str) -> list[str]:
    (found,) = re.findall(rf"^{instruction} (\[.*\])$", file, re.MULTILINE)
    return tomllib.loads(f"list = {found}")["list"]


def check(server: ServerProcess) -> None:
    with server, server.client() as client:
        assert client.get("/api/tasks").status_code == 401
        answer = client.get("/api/tasks", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.json()["tasks"] == []


def test_the_extras_that_are_installed_exist():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    page = (DOCS / "server.md").read_text("utf-8").partition(HEADING)[2]
    found = re.findall(r"pip install .*\[([a-z,]+)\]'", page)
    assert len(found) == 2
    assert set(",".join(found).split(",")) <= set(project["optional-dependencies"])
