"""What the simulated server does where nobody knows, or where servers differ: one frozen set of switches."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

UNCACHED = "request for page in uncached query for params"


@dataclass(frozen=True, slots=True)
class Latency:
    """
    How long an answer takes: `base + per_row * rows`, give or take `jitter` (a fraction of it).

    Example:
        >>> Latency(base=0.2, per_row=0.0018).seconds(1000, random.Random(0))
        2.0
    """

    base: float = 0.0
    per_row: float = 0.0
    jitter: float = 0.0

    @classmethod
    def realistic(cls) -> Latency:
        """What clients in the field report: about two seconds for a page of a thousand."""
        return cls(base=0.2, per_row=0.0018, jitter=0.2)

    def seconds(self, rows: int, rng: random.Random) -> float:
        """The wait before an answer of that many rows."""
        wait = self.base + self.per_row * rows
        return wait * (1 + self.jitter * (2 * rng.random() - 1)) if self.jitter else wait


@dataclass(frozen=True, slots=True)
class Edit:
    """
    A change of a live result, made just before the n-th session page after page 0 is read.

    Args:
        before: 1 for the first page after page 0, and so on, in order of arrival.
        delete: Row positions to remove; later rows move up, so pages to come skip some (gaps).
        insert: JSON texts put in front; rows move down, so pages to come repeat some (duplicates).
        update: New JSON texts by row position.
    """

    before: int
    delete: tuple[int, ...] = ()
    insert: tuple[bytes, ...] = ()
    update: Mapping[int, bytes] = field(default_factory=dict)

    def apply(self, rows: list[bytes]) -> None:
        """Change the rows in place: updates, then deletes, then inserts."""
        for position, row in self.update.items():
            rows[position] = row
        for position in sorted(self.delete, reverse=True):
            del rows[position]
        rows[:0] = self.insert


@dataclass(frozen=True, slots=True)
class Behaviour:
    """
    Switches of the simulated server; the defaults are the best guess about the real one, but without its
    latency.

    Args:
        latency: Seconds before each answer, or a `Latency`.
        gzip: Compress for clients that accept it.
        gzip_level: zlib level of compressed pages.
        page_size: Rows a page unless the request asks for another number.
        max_page_size: Larger requests are lowered to this; the answer reports what is used.
        ignore_page_size_request: Always use `page_size`.
        rotate_session_ids: Each answer of a session carries a new id; all of them stay valid.
        snapshot: `frozen`: a session keeps the profiles of its page 0. `live`: pages are read from the
            profiles as they are at that moment, after `edits` and `replace_population`.
        edits: Changes of a live result between its pages.
        order: `shuffled`: full pages come in an order of each session's own. `fixed`: the population's order.
        total: Which answers carry `total`; `drifting` is every page, one more on each.
        page_size_field: Which answers carry `page_size`.
        past_end_session_id: Empty pages past the end carry the session id (else null).
        session_lifetime: Seconds after page 0 until the session is unknown; None is never.
        uncached_status: Status for an unknown session or changed parameters.
        uncached_text: Error text for these.
        honour_limit: `limit` caps the result and `total`; `each_page`: the rows of each page, not `total`.
        page_echo_offset: Added to the page number in each answer.
        always_last_seen: `output_properties` keeps `$last_seen` even when it is not listed.
        seed: Decides jitter and page orders.
    """

    latency: float | Latency = 0.0
    gzip: bool = True
    gzip_level: int = 4
    page_size: int = 1000
    max_page_size: int = 50_000
    ignore_page_size_request: bool = False
    rotate_session_ids: bool = False
    snapshot: Literal["frozen", "live"] = "frozen"
    edits: tuple[Edit, ...] = ()
    order: Literal["shuffled", "fixed"] = "shuffled"
    total: Literal["page0", "every_page", "never", "unless_page_sent", "drifting"] = "page0"
    page_size_field: Literal["every_page", "page0", "never"] = "every_page"
    past_end_session_id: bool = True
    session_lifetime: float | None = None
    uncached_status: int = 400
    uncached_text: str = UNCACHED
    honour_limit: bool | Literal["each_page"] = True
    page_echo_offset: int = 0
    always_last_seen: bool = False
    seed: int = 0

    def wait(self, rows: int, rng: random.Random) -> float:
        """Seconds before an answer of that many rows."""
        if isinstance(self.latency, Latency):
            return self.latency.seconds(rows, rng)
        return self.latency

    def page_rows(self, requested: int | None) -> int:
        """The page size that a request gets."""
        if requested is None or self.ignore_page_size_request:
            return self.page_size
        return min(requested, self.max_page_size)
