"""What a person says of the files that are to be brought in, and how a person is asked for it."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from ..library import AlbumPath, safe_album_path


@frozen
class Wording:
    """How remedies call the arguments of `plan`: by their names, or as options of a program."""

    #: A format of one name.
    name: str = "{}"
    #: What stands between two names.
    between: str = ", "
    #: A format of a name and its value.
    value: str = "{}={!r}"

    def named(self, name: str) -> str:
        return self.name.format(name)

    def give(self, names: Iterable[str]) -> str:
        """The remedy where these are missing: `give artist, year`, `give --artist --year`."""
        return f"give {self.between.join(map(self.named, names))}"

    def give_value(self, name: str, value: str) -> str:
        """The remedy with its value: `give artist='Various Artists'`."""
        return f"give {self.value.format(name, value)}"


@frozen
class Overrides:
    """What was said; it counts more than what tags and file names say."""

    artist: str | None = None
    album: str | None = None
    year: int | None = None
    #: Of a music video.
    name: str | None = None
    #: Of a song: its track.
    number: int | None = field(default=None, kw_only=True)
    wording: Wording = Wording()

    def album_path(self) -> AlbumPath | None:
        """The one album that all files go to, if all three are given.

        Raises:
            InvalidPath: They make no album's path.
        """
        if self.artist is None or self.album is None or self.year is None:
            return None
        return safe_album_path(self.artist, self.year, self.album)
