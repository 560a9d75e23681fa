"""Which kinds of audio are songs: what the settings say, as a value."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import Factory, field, frozen

#: The extensions of each kind, by the name that it has in the settings.
EXTENSIONS = {
    "flac": ("flac",),
    "mp3": ("mp3",),
    "m4a": ("m4a",),
    "aac": ("aac",),
    "ogg": ("ogg", "oga"),
    "opus": ("opus",),
    "wav": ("wav",),
    "aiff": ("aiff", "aif"),
}
#: Those that a MusicDB server reads.
DOCUMENTED = frozenset({"flac", "mp3", "m4a", "aac"})
#: Audio that nothing here reads.
_NEVER = frozenset({"aifc", "ape", "dsf", "mka", "mpc", "tta", "wma", "wv"})
_KIND_OF = {extension: kind for kind, found in EXTENSIONS.items() for extension in found}


def _as_set(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


def _check(_instance: object, _attribute: object, names: frozenset[str]) -> None:
    unknown = names - EXTENSIONS.keys()
    if unknown or not names:
        shown = ", ".join(sorted(unknown)) or "nothing"
        raise ValueError(f"{shown}: the audio formats are {', '.join(EXTENSIONS)}")


def _extensions(names: Iterable[str]) -> frozenset[str]:
    return frozenset(extension for name in names for extension in EXTENSIONS.get(name, ()))


@frozen
class AudioFormats:
    """The kinds of audio that are songs in a library; other audio is refused by name.

    Audio must not pass for a booklet: whoever adds it means a song.
    """

    #: Keys of `EXTENSIONS`; at least one.
    names: frozenset[str] = field(default=DOCUMENTED, converter=_as_set, validator=_check)
    #: In lower case.
    extensions: frozenset[str] = field(
        default=Factory(lambda self: _extensions(self.names), takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )

    def _listed(self, word: str) -> str:
        *rest, last = (one for one in _KIND_OF if one in self.extensions)
        return f"{', '.join(rest)} {word} {last}" if rest else last

    def __str__(self) -> str:
        """The extensions: flac, mp3, m4a or aac."""
        return self._listed("or")

    def is_song(self, name: str) -> bool:
        """Whether the extension of a file name (or path) is a song's."""
        return extension_of(name) in self.extensions

    def why_no_song(self, name: str) -> str | None:
        """Why audio of this extension is no song here, and which setting says so.

        None where it is a song, or no audio at all.
        """
        extension = extension_of(name)
        if extension in self.extensions or extension not in (_KIND_OF.keys() | _NEVER):
            return None
        known = f"this kind of audio is unknown to the library: it has {self._listed('and')}"
        kind = _KIND_OF.get(extension)
        if kind is None:
            return f"{known}: convert it"
        return f"{known}; [tasks] audioformats can name {kind}, too"


#: What a MusicDB server reads, and nothing else.
DEFAULT_FORMATS = AudioFormats()
ALL_FORMATS = AudioFormats(EXTENSIONS)


def extension_of(name: str) -> str:
    """The extension of a file name or path, in lower case; a name like `.mp3` has none."""
    stem, _, extension = name.rpartition("/")[2].rpartition(".")
    return extension.lower() if stem else ""
