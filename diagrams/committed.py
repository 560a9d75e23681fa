"""The generated files that stand beside this code."""

from __future__ import annotations

from typing import Any

from ..statemachine import MUSIC

_GROUPS = dict.fromkeys(state.group for state in MUSIC.states)

#: Each file's name, and what `draw` is asked for.
FILES: dict[str, dict[str, Any]] = {
    **{f"music{suffix}": {} for suffix in (".svg", ".png", ".mmd", ".dot", ".md", ".json")},
    **{f"music-overview{suffix}": {"overview": True} for suffix in (".svg", ".png", ".mmd")},
    **{f"music-{group.replace(' ', '-')}.svg": {"only": group} for group in _GROUPS},
}
