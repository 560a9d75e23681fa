"""docs/server.md against the routes, the settings and the command line."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import fields
from docskit import blocks
from musictasks.cli.arguments import Parser, add_serve_arguments
from musictasks.errors import EngineClosed
from musictasks.server import ServerSettings
from musictasks.server.described import OPERATIONS

PAGE = (Path(__file__).parents[3] / "docs" / "server.md").read_text("utf-8")
#: What the command line and the two settings before the limits say.
OPTIONS = {"host", "port", "token", "host_names", "origins", "trusted_proxies"}


def test_every_route_has_an_example():
    lines = [line for line in PAGE.splitlines() if line.lstrip().startswith("curl ")]
    called = "\n".join(lines).replace("$LOCATION", "$MUSIC/uploads/$ID")
    for _, path in OPERATIONS:
        wanted = path.replace("{id}", "$ID").replace("{event}", "remove")
        assert re.search(rf"\$MUSIC{re.escape(wanted)}(?![\w/])", called), path


def test_the_application_that_is_mounted_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The library is opened with the application around it, and closed."""
    monkeypatch.chdir(tmp_path)
    (program,) = (one for one in blocks("server.md", "python") if "Mount(" in one)
    made: dict[str, Any] = {}
    exec(program, made)

    async def asked() -> httpx.Response:
        door = httpx.ASGITransport(made["app"])
        async with (
            made["lifespan"](made["app"]),
            httpx.AsyncClient(transport=door, base_url="http://localhost") as client,
        ):
            return await client.get("/music/api/tasks")

    assert asyncio.run(asked()).json()["tasks"] == []
    assert (tmp_path / "my-library/data/tasks").is_dir()
    with pytest.raises(EngineClosed):
        made["library"].start()


def test_every_limit_is_told_with_its_default():
    table = PAGE.partition("| setting | default |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`(\w+)`", table)) & {item.name for item in fields(ServerSettings)}
    assert told == {item.name for item in fields(ServerSettings)} - OPTIONS
    for name in ("unfinished_uploads", "kept_events", "listed_tasks"):
        default = getattr(ServerSettings(), name)
        assert re.search(rf"\b{default}\b", table.replace(",", "")), name


def test_every_option_is_told():
    parser = Parser()
    add_serve_arguments(parser)
    offered = {name for action in parser._actions for name in action.option_strings}
    table = PAGE.partition("| option |")[2].partition("\n\n")[0]
    assert set(re.findall(r"--[a-z][a-z-]+", table)) == {*offered, "--library", "--config"} - {
        "-h", "--help"
    }  # fmt: skip
