"""How large a difference from what the server said is accepted: a number of profiles, or a share of them."""

from __future__ import annotations

import re
from fractions import Fraction

from .kinds import Kind, whole

__all__ = ["TOLERANCE", "tolerates"]

_NUMBER = whole(0)
_TEXT = re.compile(r"(\d{1,18})|(\d{1,3}(?:\.\d{1,9})?)\s?%", re.ASCII)


def _fits(value: object) -> bool:
    if not isinstance(value, str):
        return _NUMBER.fits(value)
    found = _TEXT.fullmatch(value)
    return found is not None and (found[2] is None or Fraction(found[2]) <= 100)


TOLERANCE = Kind("a whole number, 0 or more, or a share of the total such as '0.1%'", _fits)


def tolerates(tolerance: int | str, profiles: int, total: int) -> bool:
    """Whether so many profiles differ from the total by no more than is accepted.

    Example:
        >>> tolerates(3, 12_297, 12_300), tolerates("3", 12_304, 12_300), tolerates("0.1%", 12_288, 12_300)
        (True, False, True)
    """
    return abs(profiles - total) <= (_share(tolerance, total) if isinstance(tolerance, str) else tolerance)


def _share(tolerance: str, total: int) -> Fraction:
    found = _TEXT.fullmatch(tolerance)
    assert found is not None  # noqa: S101 - checked where it came in
    return Fraction(found[1]) if found[1] else total * Fraction(found[2]) / 100
