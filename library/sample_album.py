"""The album that ships with the package: for the demo, and for tests on real files."""

from __future__ import annotations

from pathlib import Path


def sample_album() -> Path:
    """The directory of the sample album: three songs, a cover and a booklet.

    `README` in it tells how it was made; it is no part of the album (the ignore list of the Music
    Directory has that name). The files belong to the installed package: copy, don't change them.
    """
    return Path(__file__).parent / "sample"
