"""How a fetch ends: counted, then published, accepted as it is, or left for the next run; and the result of that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Unpack

from ..arguments import tolerates
from ..engage import page_count
from ..errors import MixpanelError, StorageError
from ..http import FetchControl, Step
from ..results import ParallelProfileFetchResult
from ..store import Allowed, Claim, OpenFetch, ProfileStore, Publication, StagedRows, Target

__all__ = ["Ending", "leaving", "publish_unfinished"]


@contextmanager
def leaving(
    store: ProfileStore, fetch: OpenFetch, steps: Callable[[], Mapping[int, Sequence[Step]]] = dict
) -> Iterator[None]:
    """Leave a fetch for the next run behind whatever ends this one.

    A store that cannot take even this (a full disk) does not hide what that was.
    """
    try:
        yield
    except BaseException as error:
        told = str(error) if isinstance(error, MixpanelError) else f"interrupted by {type(error).__name__}"
        with suppress(StorageError):
            store.leave(fetch, note=told, steps=steps())
        raise


@dataclass(frozen=True, slots=True)
class Ending:
    """What a run has when its pages are there or given up.

    Args:
        store: Where they are.
        fetch: The fetch.
        tolerance: By how much its profiles may differ from the server's total; ``None``: by whatever, and pages may be
            missing, too.
        allowed: What may happen to its table.
        missing: Pages that are not there, with the reason if this run gave them up.
        notice: Says something in words, which ``notices`` then has.
        notices: What was said.
        control: What was asked of the server.
        into: Where it is published, if not in the database itself.
        started: When the run began, by ``time.monotonic``.
    """

    store: ProfileStore
    fetch: OpenFetch
    tolerance: int | str | None
    allowed: Allowed
    missing: Mapping[int, str]
    notice: Callable[[str], object]
    notices: Sequence[str]
    control: FetchControl = field(default_factory=FetchControl)
    into: Target | None = None
    started: float = field(default_factory=time.monotonic)

    def result(self) -> ParallelProfileFetchResult:
        """Count, then publish what is complete or accepted, and leave the rest for the next run."""
        store, fetch, meter = self.store, self.fetch, self.control.meter
        staged, odd = store.staged(fetch), store.odd_rows(fetch)
        pages, differs = page_count(fetch.total or 0, fetch.page_size or 1), staged.distinct != fetch.total
        difference = store.difference(fetch, staged) if differs and not self.missing else None
        but = str(difference) if difference else None
        if self.missing:
            but = f"{len(self.missing):,} of {pages:,} pages are missing"
        outcome = self._published_or_left(staged, but)
        return ParallelProfileFetchResult(
            table=fetch.spec.table,
            total_rows=staged.distinct,
            successful_pages=pages - len(self.missing),
            failed_pages=len(self.missing),
            failed_page_indices=tuple(self.missing),
            duration_seconds=time.monotonic() - self.started,
            fetched_at=datetime.now(UTC),
            expected_rows=fetch.total or 0,
            duplicate_rows=staged.duplicates,
            resumed_pages=len(fetch.committed),
            requests=meter.requests,
            retries=meter.retries,
            waited_seconds=meter.waited_seconds,
            published=outcome.published,
            total_pages=pages,
            accepted_difference=outcome.published and but is not None,
            difference=difference.seen if difference else None,
            staging_table=None if outcome.published else fetch.staging,
            shrinks_from=outcome.shrinks_from,
            rows_without_distinct_id=odd.without_distinct_id,
            rows_without_properties=odd.without_properties,
            rows_with_other_fields=odd.with_other_fields,
            rows_with_unreadable_last_seen=odd.unreadable_last_seen,
            colliding_ids=staged.colliding,
            replaced_characters=odd.replaced_characters + outcome.replaced_characters,
            mended_values=odd.mended_values,
            flattened_values=odd.flattened_values,
            errors=tuple(filter(itemgetter(1), self.missing.items())),
            notices=tuple(self.notices),
            **self._told_of_target(outcome),
            _journal=store.reader(),
            _fetch_id=fetch.fetch_id,
        )

    def _told_of_target(self, outcome: Publication) -> dict[str, Any]:
        """What there is to say only of what is published past its database, and where the rows are."""
        told = {f"{name}_rows": many for name, many in asdict(outcome.changes).items()}
        if self.into is not None:
            told |= {"target": self.into.name, "target_refusal": outcome.refused}
        return {**told, "_connect": self.store.reader(self.into if outcome.published else None)}

    def _published_or_left(self, staged: StagedRows, but: str | None) -> Publication:
        if but is None or self._accepts(staged):
            outcome = self.store.publish(self.fetch, staged=staged, but=but, into=self.into, **self.allowed)
            for text in outcome.notices:
                self.notice(text)
            return outcome
        steps = self.control.trace.unfinished()
        self.store.leave(self.fetch, note=but, missing=list(self.missing.items()), steps=steps)
        return Publication()

    def _accepts(self, staged: StagedRows) -> bool:
        if self.tolerance is None:
            return True
        return not self.missing and tolerates(self.tolerance, staged.distinct, self.fetch.total or 0)


def publish_unfinished(
    store: ProfileStore, table: str, *, fetch_id: str | None = None, **given: Unpack[Allowed]
) -> ParallelProfileFetchResult:
    """Publish what has arrived of an unfinished fetch, without a request.

    Args:
        store: Where it is.
        table: Its table.
        fetch_id: How its id begins, if there are several.
        **given: What may happen to an existing table, where that is not what the fetch's last run was allowed.
    """
    claim = Claim()
    try:
        with store.in_one_thread():
            fetch, allowed = store.take_unfinished(table, claim=claim, fetch_id=fetch_id, **given)
            with leaving(store, fetch):
                came, pages = dict(fetch.committed), page_count(fetch.total or 0, fetch.page_size or 1)
                missing = {index: "" for index in range(pages) if index not in came}
                notices = list(fetch.notices)
                return Ending(store, fetch, None, allowed, missing, notices.append, notices).result()
    finally:
        claim.release()
