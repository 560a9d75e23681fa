"""The music library: the Music Directory, its naming scheme, database, tags and artwork.

It knows nothing of tasks.
"""

from .naming import (
    SONG_EXTENSIONS,
    VIDEO_EXTENSIONS,
    AlbumPath,
    SongPath,
    VideoPath,
    album_of,
    check_album_file,
    is_song,
    is_video,
    parse_album,
    parse_song,
    parse_video,
    safe_album_path,
    safe_name,
    safe_song_path,
)
from .sample_album import sample_album

__all__ = [
    "SONG_EXTENSIONS",
    "VIDEO_EXTENSIONS",
    "AlbumPath",
    "SongPath",
    "VideoPath",
    "album_of",
    "check_album_file",
    "is_song",
    "is_video",
    "parse_album",
    "parse_song",
    "parse_video",
    "safe_album_path",
    "safe_name",
    "safe_song_path",
    "sample_album",
]
