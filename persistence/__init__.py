"""A task as a JSON file: converter, durable store, watch of the directory, its one owner."""

from .converter import TASK_ID, TaskConverter, Upgrade, make_converter
from .format import RecordFormat, as_dictionary, record_format
from .merge import merge_edit
from .owner import DirectoryOwner
from .store import FILE_MAX_BYTES, TaskFile, TaskStore
from .watch import DirectoryWatch

__all__ = [
    "FILE_MAX_BYTES",
    "TASK_ID",
    "DirectoryOwner",
    "DirectoryWatch",
    "RecordFormat",
    "TaskConverter",
    "TaskFile",
    "TaskStore",
    "Upgrade",
    "as_dictionary",
    "make_converter",
    "merge_edit",
    "record_format",
]
