"""`musictasks add --server`, beside `musictasks add` of the same songs, and by a slow link."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from adding import make_songs, seconds
from figures import Figure

ALBUMS, SONGS, ROUNDS = 12, 10, 3
#: What the link takes in each direction.
DELAY_S = 0.02
MUSICTASKS = str(Path(sys.executable).parent / "musictasks")


def measure(directory: Path) -> Iterator[Figure]:
    music = directory / "incoming"
    make_songs(music, ALBUMS, SONGS)
    numbers = count()
    here: list[float] = []
    there: list[float] = []
    for _ in range(ROUNDS):
        library = directory / f"library-{next(numbers)}"
        here.append(seconds([MUSICTASKS, "add", str(music), "--library", str(library)]))
        with _server(directory / f"library-{next(numbers)}") as url:
            there.append(_send(music, url))
    with _server(directory / "behind") as url, _Link(urlsplit(url).port or 0) as far:
        far_s = _send(music, far)
    what = f"add --server, {ALBUMS * SONGS} songs of 20 kB in {ALBUMS} albums"
    ratio = median(one / other for one, other in zip(there, here, strict=True))
    yield Figure(f"{what}, by the time of add", ratio, "x", note=f"{min(there):.1f} s at best")
    yield Figure(f"  the same by a link of {2000 * DELAY_S:.0f} ms", far_s, "s")


def _send(music: Path, url: str) -> float:
    return seconds([MUSICTASKS, "add", "--server", url, str(music)])


@contextmanager
def _server(library: Path) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [MUSICTASKS, "serve", "--library", str(library), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().rpartition(" at ")[2].strip()
        finally:
            process.terminate()


class _Link(threading.Thread):
    """Passes on to a port what comes, later; inside a block, which gets its address."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port, self._loop = port, asyncio.new_event_loop()
        self._listening = threading.Event()
        self.url = ""

    def __enter__(self) -> str:
        self.start()
        self._listening.wait()
        return self.url

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join()

    def run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._pass, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listening.set()
        self._loop.run_forever()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(
                self._one_way(reader, far_writer), self._one_way(far_reader, writer)
            )

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self._loop.call_later(DELAY_S, writer.write, data)
        self._loop.call_later(DELAY_S, writer.close)
