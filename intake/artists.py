"""How artists are spelled: as the library has them already."""

from __future__ import annotations

from attrs import evolve, field, frozen

from ..library import AlbumPath, VideoPath, decode_name, encode_name, same_name
from ..music import Settings, music_directory
from .overrides import Overrides


@frozen
class Spelling:
    """An artist who was found under another spelling than the one in the library."""

    #: As tags or file names spell the name.
    found: str
    #: As the library does, and what is used.
    used: str


@frozen(eq=False)
class Artists:
    """One spelling for each artist; names that differ in case or Unicode form are one artist's.

    The spelling of the Music Directory counts, else the first one that was met. A name that a
    person gave stays as it is.
    """

    _settings: Settings
    _overrides: Overrides
    #: By the name as file systems compare it; others who bring in music at the same time may share
    #: it, in other threads, too.
    _used: dict[str, str] = field(factory=dict)
    #: The other spellings that were met, in their order; the values mean nothing.
    _spellings: dict[Spelling, None] = field(factory=dict, init=False)

    @property
    def spellings(self) -> tuple[Spelling, ...]:
        """What was found under another spelling so far."""
        return tuple(self._spellings)

    def of_album(self, album: AlbumPath) -> AlbumPath:
        """The album with the artist's one spelling."""
        return evolve(album, artist=self._spelled(album.artist))

    def of_name(self, artist: str) -> str:
        """The name's one spelling."""
        return self._spelled(artist)

    def of_video(self, video: VideoPath) -> VideoPath:
        """The video with the artist's one spelling."""
        return evolve(video, artist=self._spelled(video.artist))

    def _spelled(self, artist: str) -> str:
        if self._overrides.artist is not None:
            return artist
        key = same_name(artist)
        used = self._used.get(key)
        if used is None:
            # Invariant: one of several who come at once is the first.
            used = self._used.setdefault(key, self._in_library(artist))
        if used != artist:
            self._spellings[Spelling(artist, used)] = None
        return used

    def _in_library(self, artist: str) -> str:
        try:
            name = music_directory(self._settings).spelled_as(encode_name(artist))
        except OSError:
            return artist  # there is no Music Directory yet, or what comes next says what is wrong
        return decode_name(name)
