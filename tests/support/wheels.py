"""The archives of the package, built as they are handed on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pages import run

ROOT = Path(__file__).parents[2]
ROOMS = {path.parent.name for path in ROOT.glob("*/__init__.py")}
#: Calls the build backend that pyproject.toml names: a source archive, unpacked, and a wheel of it.
BUILD = """\
import os, tarfile
from setuptools import build_meta
archive = build_meta.build_sdist("dist")
with tarfile.open(os.path.join("dist", archive)) as file:
    file.extractall(".")
os.chdir(archive.removesuffix(".tar.gz"))
build_meta.build_wheel("../dist")
"""


def build(directory: Path) -> Path:
    """The directory with both archives, built from a copy and without the network."""
    copy = directory / "musictasks"
    shutil.copytree(ROOT / "src", copy / "src", symlinks=True)
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, copy / name)
    run([sys.executable, "-c", BUILD], copy)
    return copy / "dist"
