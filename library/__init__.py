"""The music library: the Music Directory, its naming scheme, database, tags and artwork.

It knows nothing of tasks.
"""

from ..files import same_name
from .album_names import (
    ArchivedFile,
    album_annotations,
    album_names,
    is_left_out,
    read_archived_song,
)
from .archives import ArchiveLimits, ArchiveMember, read_archive
from .artwork import DEFAULT_ARTWORK, ArtworkDirectory, artwork_name
from .audio_formats import ALL_FORMATS, DEFAULT_FORMATS, AudioFormats
from .bitrates import KbitRow, find_kbit_rows
from .database import MusicDatabase
from .frames import FramesDirectory, VideoFrames
from .hashing import Digests, digests_of, sha256_of
from .images import ImageLimits, to_jpeg
from .importing import ImportResult
from .known_files import FileIdentity, KnownFile, KnownFiles
from .ledger import Archive, AskedLedger, Ledger, LedgerEntry, Verdict
from .music_directory import IGNORE_SONGS, MusicDirectory
from .naming import (
    VIDEO_EXTENSIONS,
    AlbumPath,
    SongPath,
    VideoPath,
    album_of,
    check_album_file,
    decode_name,
    encode_name,
    is_video,
    parse_album,
    parse_song,
    parse_video,
)
from .recent import RecentBytes, note_bytes, note_tags, recent_bytes, recent_tags
from .safe_names import safe_album_path, safe_name, safe_song_path, safe_video_path
from .sample_album import sample_album
from .scanning import Moved, ScanResult, scan
from .tags import SongTags, read_picture, read_song
from .verifying import Finding, Verified, verify
from .video import VideoInfo, check_video_extra, read_frames, read_video
from .whereabouts import album_from, is_as_seen, places_of, places_of_all

__all__ = [
    "ALL_FORMATS",
    "DEFAULT_ARTWORK",
    "DEFAULT_FORMATS",
    "IGNORE_SONGS",
    "VIDEO_EXTENSIONS",
    "AlbumPath",
    "Archive",
    "ArchiveLimits",
    "ArchiveMember",
    "ArchivedFile",
    "ArtworkDirectory",
    "AskedLedger",
    "AudioFormats",
    "Digests",
    "FileIdentity",
    "Finding",
    "FramesDirectory",
    "ImageLimits",
    "ImportResult",
    "KbitRow",
    "KnownFile",
    "KnownFiles",
    "Ledger",
    "LedgerEntry",
    "Moved",
    "MusicDatabase",
    "MusicDirectory",
    "RecentBytes",
    "ScanResult",
    "SongPath",
    "SongTags",
    "Verdict",
    "Verified",
    "VideoFrames",
    "VideoInfo",
    "VideoPath",
    "album_annotations",
    "album_from",
    "album_names",
    "album_of",
    "artwork_name",
    "check_album_file",
    "check_video_extra",
    "decode_name",
    "digests_of",
    "encode_name",
    "find_kbit_rows",
    "is_as_seen",
    "is_left_out",
    "is_video",
    "note_bytes",
    "note_tags",
    "parse_album",
    "parse_song",
    "parse_video",
    "places_of",
    "places_of_all",
    "read_archive",
    "read_archived_song",
    "read_frames",
    "read_picture",
    "read_song",
    "read_video",
    "recent_bytes",
    "recent_tags",
    "safe_album_path",
    "safe_name",
    "safe_song_path",
    "safe_video_path",
    "same_name",
    "sample_album",
    "scan",
    "sha256_of",
    "to_jpeg",
    "verify",
]
