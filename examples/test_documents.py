"""The pipeline of documents.py, proven: `pytest test_documents.py`."""

from functools import partial

import pytest
from documents import DOCUMENTS, Document, file, read
from musictasks.files import Directory
from musictasks.testing import prove
from musictasks.uploads import Uploads


@pytest.fixture
def musictasks_lifecycle():
    return DOCUMENTS


@pytest.fixture
def musictasks_handlers(tmp_path):
    return {"reading": read, "filing": partial(file, Directory(tmp_path))}


def test_nothing_illegal_can_happen(musictasks_handlers):
    titled = Document(id="titled", state="review", annotations={"title": "Invoice"})
    report = prove(DOCUMENTS, tasks=[titled], handlers=musictasks_handlers)
    assert report.edges_covered == report.edges_total


@pytest.mark.parametrize(("data", "state"), [(b"Invoice 7", "review"), (b"\xff", "unreadable")])
def test_a_document_is_read(musictasks_engine, musictasks_recorder, data, state):
    uploads = Uploads(musictasks_engine)
    task = uploads.receive(uploads.begin(file_size=len(data)).id, data)
    musictasks_recorder.wait_for_state(task.id, state)
    assert musictasks_recorder.states(task.id) == ["receiving", "received", "reading", state]
