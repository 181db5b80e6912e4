"""Kinds of values that arguments may have: each says what fits, and what to tell whoever gave something else."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from inspect import iscoroutinefunction
from numbers import Integral, Real
from reprlib import Repr

from ..errors import MixpanelError, QueryError

__all__ = [
    "FLAG",
    "FUNCTION",
    "MOMENT",
    "NAME",
    "PATH",
    "Kind",
    "one_of",
    "refusal",
    "seconds",
    "whole",
    "with_methods",
]


class _Shown(Repr):
    maxstring = maxother = 60

    def repr_int(self, x: int, level: int) -> str:
        """Say of a number that Python does not write what it is."""
        return "a number of thousands of digits" if abs(x) >= _UNWRITABLE else super().repr_int(x, level)


_shown = _Shown()
# Python writes no number of more than 4,300 digits, by default.
_UNWRITABLE = 10**4000


@dataclass(frozen=True, slots=True)
class Kind:
    """What an argument may be.

    Args:
        must: What it must be, as in "it must be <must>".
        fits: Whether a value is that.
        optional: Whether None stands for "not given".
        error: What is raised if it is none of this.
    """

    must: str
    fits: Callable[[object], bool]
    optional: bool = False
    error: type[MixpanelError] = QueryError

    def or_none(self) -> Kind:
        """Allow None, too."""
        return replace(self, optional=True)

    def raising(self, error: type[MixpanelError]) -> Kind:
        """Raise another error."""
        return replace(self, error=error)


def refusal(name: str, value: object, must: str, error: type[MixpanelError] = QueryError) -> MixpanelError:
    """Make the error for a value that an argument must not have.

    Example:
        >>> str(refusal("max_workers", "5", "a whole number from 1 to 5"))
        "max_workers is '5'; it must be a whole number from 1 to 5."
    """
    return error(f"{name} is {' '.join(_shown.repr(value).split())}; it must be {must}.")


def _is_text(value: object) -> bool:
    """Text that can be stored, sent and written: no NUL, and no half of a surrogate pair."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike) and isinstance(path := os.fspath(value), str) and "\0" not in path


def _is_moment(value: object) -> bool:
    if not isinstance(value, str):
        return isinstance(value, datetime)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_function(value: object) -> bool:
    """A function, or an object that is called like one; nobody would await what a coroutine gives."""
    return callable(value) and not any(map(iscoroutinefunction, (value, type(value).__call__)))


def _number(value: object) -> float:
    """A number, however large; what is none is not a number either."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.copysign(math.inf, 1 if abs(value) == value else -1)


FLAG = Kind("True or False", lambda value: isinstance(value, bool))
NAME = Kind("a text", _is_text)
PATH = Kind("a path, as text or os.PathLike", _is_path)
MOMENT = Kind("a datetime, or a text such as '2026-01-31T08:00:00+01:00'", _is_moment)
FUNCTION = Kind("a plain function, not a coroutine", _is_function)


def one_of(*words: str) -> Kind:
    """One of some words."""
    *others, last = map(repr, words)
    must = " or ".join(filter(None, [", ".join(others), last]))
    return Kind(must, lambda value: isinstance(value, str) and value in words)


def whole(least: int, most: int | None = None) -> Kind:
    """A whole number; one above ``most`` fits, since whoever takes it says so and uses less."""
    return Kind(
        f"a whole number, {least} or more" if most is None else f"a whole number from {least} to {most}",
        lambda value: isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) < _UNWRITABLE,
    )


def seconds(*, above: float | None = None, most: float = math.inf, what: str = "a number of seconds") -> Kind:
    """A number, 0 or more, or more than ``above``."""
    least = "0 or more" if above is None else f"more than {above:g}"
    must = f"{what}, {least}" if most == math.inf else f"{what} from 0 to {most:,g}"

    def fits(value: object) -> bool:
        number = _number(value)
        return (number >= 0 if above is None else number > above) and number <= most

    return Kind(must, fits)


def with_methods(what: str, *names: str) -> Kind:
    """An object, not a class, that has certain methods."""

    def fits(value: object) -> bool:
        return not isinstance(value, type) and all(FUNCTION.fits(getattr(value, name, None)) for name in names)

    return Kind(what, fits)
