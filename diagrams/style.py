"""How things look. The colours are told apart by colour-blind people and in greyscale.

A kind of edge differs from the others in colour, in dash and in its arrowhead; a role of a state
in its fill, and outcomes in a sign as well.
"""

from __future__ import annotations

from attrs import frozen

from ..statemachine import Change, Kind, Role

#: Known everywhere by its metrics or a likeness; Graphviz knows the bold one by this name.
FONT = "Helvetica"
BOLD_FONT = "Helvetica-Bold"
#: The picture's own ground, so that it reads the same on a dark page.
GROUND = "#ffffff"
TEXT = "#1f2328"
FAINT_TEXT = "#6e7781"
FAINT_LINE = "#afb8c1"
BOX_FILL = "#f6f8fa"
BOX_LINE = "#d0d7de"
STAGE_FILL = "#e6ebf1"
NOW = "#bc4c00"


@frozen
class Look:
    """Of a state."""

    fill: str
    text: str = TEXT
    line: str = "#57606a"
    #: In front of the name.
    sign: str = ""
    #: A second line around it.
    double: bool = False
    #: In the legend.
    about: str = ""


LOOKS: dict[Role, Look] = {
    Role.INITIAL: Look("#1f2328", "#ffffff", "#1f2328", about="beginning"),
    Role.WAITING: Look("#ffffff", about="waits for a client"),
    Role.QUEUED: Look("#cfe4fa", line="#0969da", about="queued"),
    Role.WORKING: Look("#0550ae", "#ffffff", "#033d8b", about="working"),
    Role.PASSING: Look("#d8efdf", line="#1a7f37", sign="✓ ", about="succeeded"),
    Role.FINISHED: Look("#d8efdf", line="#1a7f37", sign="✓ ", about="succeeded"),
    Role.FAILED: Look("#fbdcc9", line="#a33b00", sign="✗ ", about="failed"),
    Role.REMOVING: Look("#d0d7de", about="being removed"),
    Role.GONE: Look("#ffffff", line="#1f2328", double=True, about="end"),
}
UNKNOWN = Look("#ffffff", sign="? ")


@frozen
class Line:
    """Of an edge."""

    color: str
    #: Graphviz's word for it.
    dash: str
    head: str
    width: float
    #: In the legend.
    sign: str
    about: str


LINES: dict[Kind, Line] = {
    Kind.DOCUMENTED: Line("#424a53", "solid", "normal", 1.1, "──▶", "documented"),
    Kind.ADDED: Line("#0550ae", "solid", "normal", 1.1, "──▶", "added"),
    Kind.RECOVERY: Line("#a33b00", "dashed", "vee", 1.2, "╌╌▷", "recovery after a crash"),
    Kind.RETRY: Line("#8250df", "dotted", "empty", 1.6, "┈┈▷", "retry"),
}

#: In the comparison of two lifecycles, instead of the kinds: each differs from the others in dash,
#: width and sign, so that the colours are not needed.
CHANGES: dict[Change, Line] = {
    Change.SAME: Line("#6e7781", "solid", "normal", 0.8, "──▶", "as before"),
    Change.CAME: Line("#0550ae", "solid", "normal", 2.6, "+ ━━▶", "came"),
    Change.WENT: Line("#a33b00", "dashed", "empty", 1.2, "- ╌╌▷", "went"),
    Change.CHANGED: Line("#8250df", "dotted", "normal", 2.2, "~ ┈┈▶", "changed"),
}
