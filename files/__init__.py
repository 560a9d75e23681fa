"""The only code that changes the disk: durable saves, confined paths, placing a file.

Every change goes through `effects.current`, so that tests can count, fail and kill at each.
"""

import sys
from typing import TYPE_CHECKING

import lazy_loader

if sys.platform == "win32":
    raise ImportError(
        "musictasks needs Linux or macOS (durable renames, flock, directory descriptors): "
        "on Windows run it inside WSL 2 or a Linux container"
    )

from . import effects
from .directory import OWN_STEM, Directory, open_regular, step_down
from .durable import DurableFile, read_whole
from .effects import Effects, using
from .identity import Identity, written_at
from .owned import OwnedDirectories
from .paths import check_name, check_relative, is_plain, same_name
from .roots import make_root
from .spares import SpareFiles
from .syncing import SharedSync
from .trees import remove_tree

if TYPE_CHECKING:
    from .assembling import Filling, assemble, new_directory, sweep_assembly
    from .foreign import ForeignDirectory, Parts
    from .leases import has_writer
    from .placing import Placed, looks_of, place, sweep
    from .uploads import Counted, UploadData, counted, counting

else:
    # Not everybody needs these: they are imported when they are first asked for.
    __getattr__, _, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "assembling": ["Filling", "assemble", "new_directory", "sweep_assembly"],
            "foreign": ["ForeignDirectory", "Parts"],
            "leases": ["has_writer"],
            "placing": ["Placed", "looks_of", "place", "sweep"],
            "uploads": ["Counted", "UploadData", "counted", "counting"],
        },
    )

__all__ = [
    "OWN_STEM",
    "Counted",
    "Directory",
    "DurableFile",
    "Effects",
    "Filling",
    "ForeignDirectory",
    "Identity",
    "OwnedDirectories",
    "Parts",
    "Placed",
    "SharedSync",
    "SpareFiles",
    "UploadData",
    "assemble",
    "check_name",
    "check_relative",
    "counted",
    "counting",
    "effects",
    "has_writer",
    "is_plain",
    "looks_of",
    "make_root",
    "new_directory",
    "open_regular",
    "place",
    "read_whole",
    "remove_tree",
    "same_name",
    "step_down",
    "sweep",
    "sweep_assembly",
    "using",
    "written_at",
]
