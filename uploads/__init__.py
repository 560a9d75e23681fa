"""Files come in chunk by chunk, into their task's directory: for any lifecycle with uploads."""

from ..statemachine import UploadTask, is_complete, is_incomplete
from .admission import check_announcement, is_checksum
from .naming import data_name, extension_of
from .uploads import Uploads, measured
from .whole import WholeChunk

__all__ = [
    "UploadTask",
    "Uploads",
    "WholeChunk",
    "check_announcement",
    "data_name",
    "extension_of",
    "is_checksum",
    "is_complete",
    "is_incomplete",
    "measured",
]
