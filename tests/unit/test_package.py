"""The package as a whole: its folders, its public face, what it loads, what it says of itself."""

from __future__ import annotations

import importlib
import importlib.resources
import pydoc
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import musictasks
import pytest
from musictasks.music import Settings
from musictasks.statemachine import Lifecycle, Task

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "musictasks"
#: The folders at the root that are packages.
ROOMS = {path.parent.name for path in ROOT.glob("*/__init__.py")}


def python(program: str) -> set[str]:
    """Runs a program in a new process; the words that it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_every_folder_has_its_link():
    """Relative links, so that a clone works wherever it lies."""
    links = {path.name: path.readlink() for path in PACKAGE.iterdir() if path.is_symlink()}
    assert links == {room: Path("../..", room) for room in ROOMS}
    assert {"statemachine", "handlers", "persistence", "diagrams"} <= ROOMS


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_the_folder_is_what_is_imported(room: str):
    """So a new file in it is imported at once, without another installation."""
    module = importlib.import_module(f"musictasks.{room}")
    assert [Path(path).resolve() for path in module.__path__] == [ROOT / room]


def test_tools_find_every_module_and_may_import_it():
    """`pkgutil` walks all of the package; importing a module runs no command."""
    found = python(
        "import importlib, pkgutil, musictasks\n"
        "for module in pkgutil.walk_packages(musictasks.__path__, 'musictasks.'):\n"
        "    importlib.import_module(module.name)\n"
        "    print(module.name)\n"
    )
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    expected = {f"musictasks.{name.removesuffix('.__init__')}" for name in names}
    assert found == expected | {"musictasks.__main__"}


def test_resources_are_found():
    sample = importlib.resources.files("musictasks.library") / "sample"
    assert (sample / "cover.png").read_bytes().startswith(b"\x89PNG")
    assert (importlib.resources.files("musictasks") / "py.typed").is_file()


def test_the_version_stands_in_one_place():
    """If this fails: the installation is older than the version, `make` renews it."""
    assert musictasks.__version__ == version("musictasks")


def test_the_face_is_what_the_packages_have():
    assert musictasks.Task is Task
    assert musictasks.Lifecycle is Lifecycle
    assert set(musictasks.__all__) <= set(dir(musictasks))
    assert all(getattr(musictasks, name) is not None for name in musictasks.__all__)
    with pytest.raises(AttributeError, match="musictasks attribute open_music"):
        _ = musictasks.open_music  # pyright: ignore[reportAttributeAccessIssue]


def test_a_library_is_opened_and_works(tmp_path: Path):
    with musictasks.open_library(Settings.in_directory(tmp_path)) as library:
        scan = library.scan()
        assert library.wait(scan.id, "fsscancomplete", timeout=30).id == scan.id


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        ("import musictasks", {"musictasks"}),
        ("import musictasks.errors", {"musictasks", "musictasks.errors"}),
    ],
)
def test_only_what_is_asked_for_is_loaded(program: str, wanted: set[str]):
    loaded = python(f"{program}\nimport sys; print(*sys.modules)")
    assert {name for name in loaded if name.startswith("musictasks")} == wanted


@pytest.mark.parametrize(
    "program",
    ["import musictasks.statemachine", "from musictasks import Lifecycle, Task"],
)
def test_the_state_machine_loads_nothing_of_music(program: str):
    loaded = python(f"{program}\nimport sys; print(*sys.modules)")
    assert "musictasks.statemachine" in loaded
    assert not loaded & {"sqlite3", "mutagen", "PIL", "rich", "musictasks.engine"}


def test_help_says_what_is_there():
    text = pydoc.plain(pydoc.render_doc(musictasks))
    assert "every task is a declared, durable state machine" in text
    assert f"\nVERSION\n    {musictasks.__version__}\n" in text
    assert "class Lifecycle(" in text
    assert "open_library" in text
    contents = text.partition("PACKAGE CONTENTS\n")[2].partition("\n\n")[0]
    assert {line.split()[0] for line in contents.splitlines()} == ROOMS | {"__main__"}


def test_the_program_of_the_help_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The lines of the module's docstring that are a program."""
    assert musictasks.__doc__ is not None
    program = musictasks.__doc__.partition("    import musictasks\n")[1:]
    lines = "".join(program).partition("\n\nWhat stands here")[0].splitlines()
    monkeypatch.chdir(tmp_path)
    exec("\n".join(line.removeprefix("    ") for line in lines), {})
    assert (tmp_path / "library" / "data" / "tasks").is_dir()


def test_the_package_runs_as_the_command_line():
    def usage(module: str) -> str:
        command = [sys.executable, "-m", module, "--help"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert usage("musictasks").startswith("usage: musictasks ")
    assert usage("musictasks") == usage("musictasks.cli")
