"""Which uploads of music are let in, by the settings: content types, sizes, MIME types.

The allowed content types and the largest size are in `music/settings.py`; what holds for every
upload is in `uploads/admission.py`.
"""

from __future__ import annotations

import re

from ..errors import ExtraMissing, UploadRefused
from ..library import check_video_extra
from .settings import Settings

#: Type and subtype, and whatever parameters a browser adds.
_MIME_TYPE = re.compile(r"[ -~]{1,255}")


def check(content_type: object, mime_type: object) -> None:
    """Refuses what cannot be a content type or a MIME type.

    Raises:
        TypeError: An argument has the wrong type.
        UploadRefused: The MIME type is not one.
    """
    if not isinstance(content_type, str):
        raise TypeError(f"content_type is text, not {content_type!r}")
    if mime_type is not None and not isinstance(mime_type, str):
        raise TypeError(f"mime_type is text or None, not {mime_type!r}")
    if isinstance(mime_type, str) and not _MIME_TYPE.fullmatch(mime_type):
        raise UploadRefused(f"the MIME type {mime_type[:80]!r} is not valid")


def check_allowed(
    settings: Settings, content_type: str, file_size: int, source_filename: str | None = None
) -> None:
    """Refuses uploads that the settings do not allow.

    Raises:
        UploadRefused: It says which setting.
    """
    if not settings.allow:
        raise UploadRefused("uploads are switched off ([uploads] allow is empty)")
    if content_type not in settings.allow:
        allowed = ", ".join(sorted(settings.allow))
        raise UploadRefused(f"content type {content_type!r} is not allowed, but: {allowed}")
    if content_type == "albumfile" and source_filename:
        no_song = settings.formats.why_no_song(source_filename)
        if no_song is not None:
            raise UploadRefused(f"{source_filename}: {no_song}")
    if content_type == "video":
        try:
            check_video_extra()
        except ExtraMissing as error:
            raise UploadRefused(f"videos cannot be read here, {error}") from error
    if file_size > settings.max_upload_size_bytes:
        most = settings.max_upload_size_bytes
        raise UploadRefused(f"{file_size} bytes are more than the {most} of [tasks] maxuploadsize")
