"""`musictasks serve`: the door to a library."""

from __future__ import annotations

import argparse
import logging
import signal
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path
from typing import Any

from rich.console import Console

from ..errors import ExtraMissing, SettingsError
from ..music import Settings
from .opening import open_engine
from .output import near, say, text
from .tokens import token


def run_serve(arguments: argparse.Namespace, settings: Settings, console: Console) -> int:
    try:
        from ..server import ServerSettings, serve
    except ModuleNotFoundError as error:
        raise ExtraMissing("server", "serving needs starlette, uvicorn and websockets") from error

    options = _options(arguments)
    certificate, key = options.pop("cert", None), options.pop("key", None)
    door = ServerSettings(**options)

    def listening(address: str) -> None:
        say(console, text("serving ", "dim"), near(settings.music.parent), text(" at "), address)
        say(console, text("Ctrl-C stops it; tasks go on at the next start", "dim"))

    # What ends the process while it starts ends it as it would later.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for handler in logging.getLogger("musictasks").handlers:
        logging.getLogger("uvicorn").addHandler(handler)
    engine = open_engine(settings)
    try:
        with engine:
            serve(engine, door, certificate=certificate, key=key, listening=listening)
    finally:
        engine.close()
    return 0


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was said on the command line, then in the settings file."""
    chosen = {} if arguments.config is None else _from_file(arguments.config)
    named = {
        "host": arguments.host,
        "port": arguments.port,
        "cert": arguments.cert,
        "key": arguments.key,
        "host_names": arguments.host_name,
        "origins": arguments.origin,
        "trusted_proxies": arguments.trusted_proxy,
        "token": token(arguments.token_file),
    }
    return chosen | {name: value for name, value in named.items() if value is not None}


def _from_file(path: Path) -> dict[str, Any]:
    """The section [websocket] of MusicDB's settings file."""
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text("utf-8"), str(path))
    except (ConfigError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), "", "", str(error)) from error
    if not parser.has_section("websocket"):
        return {}
    section = parser["websocket"]
    found: dict[str, Any] = {"host": section.get("bind"), "port": section.get("port")}
    found |= {name: section.get(name) for name in ("cert", "key")}
    found = {name: value.strip() for name, value in found.items() if value and value.strip()}
    if "port" in found:
        try:
            found["port"] = port(found["port"])
        except ValueError as error:
            raise SettingsError(str(path), "websocket", "port", str(error)) from None
    return found


def port(value: str) -> int:
    """A TCP port, 0 for one that the system chooses."""
    if not (value.isascii() and value.isdigit() and int(value) <= 65535):
        raise ValueError(f"{value!r} is not a port, 0 to 65535")
    return int(value)
