"""The documented names as enums, for callers; in records and machines stand their plain values."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The 23 states of the music lifecycle. An integrator's lifecycle may have more."""

    NEW = "new"
    NOTEXISTING = "notexisting"
    INVALIDCONTENT = "invalidcontent"
    REMOVE = "remove"
    WAITFORCHUNK = "waitforchunk"
    UPLOADFAILED = "uploadfailed"
    UPLOADCOMPLETE = "uploadcomplete"
    PREPROCESSING = "preprocessing"
    READYFORINTEGRATION = "readyforintegration"
    STARTINTEGRATION = "startintegration"
    INTEGRATING = "integrating"
    INTEGRATIONFAILED = "integrationfailed"
    READYFORIMPORT = "readyforimport"
    STARTMUSICIMPORT = "startmusicimport"
    IMPORTINGMUSIC = "importingmusic"
    IMPORTFAILED = "importfailed"
    STARTARTWORKIMPORT = "startartworkimport"
    IMPORTINGARTWORK = "importingartwork"
    IMPORTCOMPLETE = "importcomplete"
    STARTFSSCAN = "startfsscan"
    SCANNINGFS = "scanningfs"
    FSSCANFAILED = "fsscanfailed"
    FSSCANCOMPLETE = "fsscancomplete"


class ContentType(StrEnum):
    """What a task is about."""

    VIDEO = "video"
    #: One file of an album: a song, but also a booklet or a video clip.
    ALBUMFILE = "albumfile"
    ALBUM = "album"
    ARTWORK = "artwork"
    #: A task about no content of its own: a scan of the file system.
    ANY = "any"


class ArtworkSource(StrEnum):
    """Where artwork comes from."""

    IMAGEFILE = "imagefile"
    SONGFILE = "songfile"
    VIDEOFILE = "videofile"
