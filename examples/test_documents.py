"""The pipeline of documents.py, proven: `pytest test_documents.py`."""

from functools import partial

import pytest
from attrs import evolve
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


def test_nothing_illegal_can_happen(tmp_path, musictasks_handlers):
    tasks = [Document(id="titled", state="review", annotations={"title": "Invoice"})]
    for name, scan in (("good", b"Invoice 7"), ("bad", b"\xff")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scan.txt").write_bytes(scan)
        tasks.append(Document(id=name, state="reading", upload_path=f"{name}/scan.txt"))
    tasks.append(evolve(tasks[1], state="filing", annotations={"title": "Invoice 7"}))
    report = prove(DOCUMENTS, tasks=tasks, handlers=musictasks_handlers, uploads=tmp_path)
    assert (report.edges_covered, report.handlers) == (report.edges_total, 3)


@pytest.mark.parametrize(("data", "state"), [(b"Invoice 7", "review"), (b"\xff", "unreadable")])
def test_a_document_is_read(musictasks_engine, musictasks_recorder, data, state):
    uploads = Uploads(musictasks_engine)
    task = uploads.receive(uploads.begin(file_size=len(data)).id, data)
    musictasks_recorder.wait_for_state(task.id, state)
    assert musictasks_recorder.states(task.id) == ["receiving", "received", "reading", state]
