"""Which values of a record's fields a proof tries."""

from __future__ import annotations

import itertools
from typing import Any

from attrs import field, frozen, make_class
from musictasks.statemachine import MusicTask, Task, in_file
from musictasks.testing.values import choices_of, variants
from paperkit import Page, Paper, Size


def test_what_a_field_has_few_values_of_is_tried_whole():
    """A bool, an enumeration, a Literal; of other types the default and the examples."""
    assert choices_of(Paper) == {
        "file_size": (None,),
        "offset": (None,),
        "upload_path": (None,),
        "source_filename": (None,),
        "source_checksum": (None,),
        "kind": ("report", "letter"),
        "urgent": (False, True),
        "size": (None, Size.SMALL, Size.LARGE),
        "sides": (1, 2),
        "pages": (None,),
        "filed": (None,),
        "words": ([],),
        "counts": ({},),
        "contents": ((),),
    }


def test_all_combinations_are_tried_where_they_are_few():
    """Uploads are announced ones of three bytes."""
    found = [(v["kind"], v["urgent"], v["size"], v["sides"]) for v in variants(Paper)]
    assert len(found) == len(set(found)) == 2 * 2 * 3 * 2
    assert {(v["file_size"], v["offset"]) for v in variants(Paper)} == {(3, 0)}


def test_music_is_tried_with_every_content_type_and_flag():
    """And without a content type, as a damaged or foreign file may come."""
    found = {
        (v["content_type"], v["trigger_import"], v["include_artwork"]) for v in variants(MusicTask)
    }
    types = ["video", "albumfile", "album", "artwork", "any", None]
    assert found == set(itertools.product(types, (False, True), (False, True)))


def test_of_many_fields_all_pairs_are_tried_and_not_all_combinations():
    """Twenty bools have a million combinations; a guard asks for one or two of them."""
    names = [f"flag{number}" for number in range(20)]
    flags: dict[str, Any] = {name: field(default=False, type=bool) for name in names}
    record = make_class("Flags", flags, bases=(Task,), kw_only=True, frozen=True)
    found = variants(record)
    assert len(found) == 256
    for one, other in itertools.combinations(names, 2):
        assert {(v[one], v[other]) for v in found} == {*itertools.product((False, True), repeat=2)}


@frozen(kw_only=True)
class Odd(Task):
    """Examples that are equal for Python, and a default that is an example, too."""

    count: int = field(default=0, metadata=in_file(examples=(3, 0)))
    pages: tuple[Page, ...] = field(default=(), metadata=in_file(examples=[(Page(number=1),)]))


def test_no_value_is_tried_twice():
    """The examples come first."""
    assert choices_of(Odd) == {"count": (3, 0), "pages": ((Page(number=1),), ())}
