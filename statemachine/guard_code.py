"""Whether two guards are the same: of two versions of a module, the functions never are."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any


def same_guard(one: Any, other: Any) -> bool:
    """Whether both are one value, or functions that have the same name and the same code.

    What the code calls is followed through the functions and the constants of its module. Code
    that was written in another way counts as other code, also where it does the same.
    """
    return one is other or _same(one, other, set())


def _same(one: Any, other: Any, seen: set[tuple[int, int]]) -> bool:
    if one is other or (id(one), id(other)) in seen:
        return True
    seen.add((id(one), id(other)))
    if isinstance(one, FunctionType) and isinstance(other, FunctionType):
        return one.__name__ == other.__name__ and _same_function(one, other, seen)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other, [seen] * len(one)))
    if isinstance(one, type | ModuleType) and isinstance(other, type | ModuleType):
        return one.__name__.rpartition(".")[2] == other.__name__.rpartition(".")[2]
    return type(one) is type(other) and bool(one == other)


def _same_function(one: FunctionType, other: FunctionType, seen: set[tuple[int, int]]) -> bool:
    return (
        _same_code(one.__code__, other.__code__, (one.__doc__, other.__doc__))
        and _same(one.__defaults__, other.__defaults__, seen)
        and one.__kwdefaults__ == other.__kwdefaults__
        and _same(_cells(one), _cells(other), seen)
        and all(
            _same(one.__globals__[name], other.__globals__.get(name), seen)
            for name in _names(one.__code__)
            if name in one.__globals__
        )
    )


def _same_code(one: CodeType, other: CodeType, docs: tuple[Any, Any] = (None, None)) -> bool:
    """What their docstrings say (`docs`) is no code."""
    return (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and one.co_freevars == other.co_freevars
        and len(one.co_consts) == len(other.co_consts)
        and all(
            pair == docs or _same_constant(*pair)
            for pair in zip(one.co_consts, other.co_consts, strict=True)
        )
    )


def _same_constant(one: Any, other: Any) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return _same_code(one, other)
    return type(one) is type(other) and one == other


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _cells(function: FunctionType) -> tuple[Any, ...]:
    return tuple(cell.cell_contents for cell in function.__closure__ or ())
