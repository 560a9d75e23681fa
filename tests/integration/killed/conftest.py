"""The one yard of all tests of killed processes: its servers import everything once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from queue import SimpleQueue

import pytest
from killkit import Server
from killyard import PROCESSES, Yard


@pytest.fixture(scope="package")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    directory, servers = tmp_path_factory.mktemp("killed"), SimpleQueue()
    with ExitStack() as stack:
        for number in range(PROCESSES):
            servers.put(stack.enter_context(Server(directory / f"{number}.log")))
        yield Yard(directory, servers)
