"""Who lives in the simulated project: profiles kept as the very bytes that will be served."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .realistic import realistic_rows
from .shaped import Shape, ShapedRows
from .uniform import UniformRows


class Population:
    """
    The profiles of one simulated project, users first, group profiles by their `data_group_id`.

    The same size and seed always give the same profiles. They are odd on purpose, the way real projects are:
    integer ids, `$device:` ids, missing or unreadable `$last_seen`, one property with several types, names
    that collide, nesting, NUL, right-to-left text, integers that fit no machine word.

    Args:
        size: Number of user profiles.
        seed: Decides every value.
        groups: Group profiles by `data_group_id` (the number as text).
        mixed: Whether a few values are of another type than the rest of their property, such as seats as text.

    Example:
        >>> population = Population(3, seed=7)
        >>> len(population), sorted(next(population.profiles()))
        (3, ['$distinct_id', '$properties'])
    """

    def __init__(
        self, size: int = 1000, *, seed: int = 0, groups: Mapping[str, Population] | None = None, mixed: bool = True
    ) -> None:
        self._rows: Sequence[bytes] = realistic_rows(size, seed, mixed=mixed)
        self._groups = dict(groups or {})

    @classmethod
    def of(cls, profiles: Iterable[Mapping[str, Any]], *, groups: Mapping[str, Population] | None = None) -> Population:
        """
        A population given by hand.

        Raises:
            ValueError: A value has no JSON form (NaN, infinity); write such literals with `raw`.

        Example:
            >>> list(Population.of([{"$distinct_id": "a", "$properties": {}}]).profiles())
            [{'$distinct_id': 'a', '$properties': {}}]
        """
        return cls.raw((json.dumps(profile, allow_nan=False).encode() for profile in profiles), groups=groups)

    @classmethod
    def raw(cls, rows: Iterable[bytes], *, groups: Mapping[str, Population] | None = None) -> Population:
        """A population of literal JSON texts, one a profile, served byte for byte even when broken."""
        return cls._holding([bytes(row) for row in rows], groups)

    @classmethod
    def uniform(cls, size: int, *, profile_bytes: int = 1000, seed: int = 0) -> Population:
        """
        Many plain profiles for measurements, made in no time and composed again at each look.

        Args:
            size: Number of profiles; five million need no more memory than five thousand.
            profile_bytes: About how many bytes of JSON one profile has (28 properties when there is room).
            seed: Decides every value.
        """
        return cls._holding(UniformRows(size, profile_bytes=profile_bytes, seed=seed), None)

    @classmethod
    def shaped(cls, size: int, shape: Shape | None = None, *, profile_bytes: int = 1000, seed: int = 0) -> Population:
        """
        Many profiles for measurements, each with texts of its own, as real ones have.

        Args:
            size: Number of profiles; five million need no more memory than five thousand.
            shape: Order of keys, alphabet, nesting; the hardest plausible one if it is not given.
            profile_bytes: About how many bytes of JSON one profile has.
            seed: Decides every value.

        Example:
            >>> list(next(Population.shaped(3, Shape(order="first")).profiles())["$properties"])[:2]
            ['$last_seen', '$email']
        """
        return cls._holding(ShapedRows(size, shape=shape or Shape(), profile_bytes=profile_bytes, seed=seed), None)

    @classmethod
    def _holding(cls, rows: Sequence[bytes], groups: Mapping[str, Population] | None) -> Population:
        population = cls(0, groups=groups)
        population._rows = rows
        return population

    @property
    def rows(self) -> Sequence[bytes]:
        """The JSON text of each profile, in the server's base order."""
        return self._rows

    def profiles(self) -> Iterator[dict[str, Any]]:
        """Each profile as a client that parses the served bytes sees it."""
        for row in self._rows:
            yield json.loads(row)

    def group(self, data_group_id: str) -> Population:
        """The profiles of one group key; an unknown key has none."""
        return self._groups.get(data_group_id) or Population(0)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<Population of {len(self):,} profiles, {len(self._groups)} group keys>"
