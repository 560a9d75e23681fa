"""Scanned documents: uploaded, read, approved by a person, filed.

`python documents.py [DIRECTORY]` makes its own, and works there; what a killed run left goes on.
"""

import re
import sys
import tempfile
from functools import partial
from pathlib import Path

from attrs import field, frozen
from musictasks.engine import EngineSettings, open_engine
from musictasks.errors import TaskFailed
from musictasks.files import Directory, place
from musictasks.statemachine import Edge, Role, Stage, StateSpec, bare_lifecycle, in_file

# isort: split
from musictasks.statemachine import Outcome, Work, reject, succeed
from musictasks.uploads import Uploads, UploadTask


@frozen(kw_only=True)
class Document(UploadTask):
    """What is known of a document, besides what is known of every uploaded file."""

    words: int | None = field(default=None, metadata=in_file(count=True))
    filed_path: str | None = field(default=None, metadata=in_file(path=True))


def has_title(task: Document, payload) -> bool:
    return bool(task.annotations.get("title"))


DOCUMENTS = (
    bare_lifecycle(Document)
    .with_state(StateSpec("review", "review", Role.WAITING))
    .with_state(StateSpec("filed", "archive", Role.FINISHED, keeps_data=False))
    .with_stage(Stage("reading", group="intake", queued="received", working="reading",
                      succeeded="review", failed="readingfailed", rejected="unreadable"))
    .with_stage(Stage("filing", group="archive", queued="approved", working="filing",
                      succeeded="filed", failed="filingfailed"))
    .with_upload("receiving", group="intake", complete="received", failed="damaged")
    .with_edge(Edge(event="approve", source="review", target="approved", guard=has_title))
    .with_edge(Edge(event="decline", source="review", target="unreadable"))
)  # fmt: skip


def read(task: Document, work: Work) -> Outcome:
    """Reads a text; with scanned images, a program for text recognition would stand here."""
    try:
        text = (work.directory / str(task.upload_name)).read_text("utf-8").strip()
    except UnicodeDecodeError:
        return reject("there is no text in it")  # an OSError becomes a `fail`: it may work later
    return succeed(changes={"words": len(text.split())}, annotations={"title": text.split("\n")[0]})


def file(root: Directory, task: Document, work: Work) -> Outcome:
    """Files a document under a name that no other task has, so that doing it again is safe."""
    title = re.sub(r"\W+", " ", task.annotations["title"]).strip()
    path = f"archive/{title[:80]} {task.id[:8]}.txt"
    with (work.directory / str(task.upload_name)).open("rb") as source:
        place(source, root, path, owner=task.id)  # durable, and never overwrites
    return succeed(changes={"filed_path": path})


def main(root: Path, scans=(b"Invoice 7\nTwo chairs and a table.\n", b"\xff\xd8 a cat"), door=None):
    handlers = {"reading": read, "filing": partial(file, Directory(root))}
    settings = EngineSettings(tasks=root / "tasks", uploads=root / "uploads")
    with open_engine(settings, DOCUMENTS, handlers=handlers) as engine:
        uploads = Uploads(engine)
        if door:  # served_documents.py
            door(engine, uploads=uploads, listening=print)
        for scan in scans:
            task = uploads.begin(file_size=len(scan), source_filename="scan.txt")
            uploads.receive(task.id, scan)
            try:
                task = engine.wait(task.id, "review", timeout=30)
                print(f"{task.words} words, {task.annotations['title']!r}: approved")
                engine.send(task.id, "approve", annotations={"approved by": "Ada"})
                print("filed as", engine.wait(task.id, "filed", timeout=30).filed_path)
            except TaskFailed as error:
                print(error)
            print(*(entry.target for entry in engine.get(task.id).history), sep=" > ")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary))
