"""A dlt resource: every profile of a project, as Arrow batches out of a complete fetch (extra ``dlt``).

The pages go into a DuckDB file first, as in any fetch, and leave it when all of them are there. So the promises of a
fetch hold for whatever dlt loads into (complete or an error, one row a profile, nothing lost of ``properties``), no
profile becomes a Python object, and a kept file makes a failed run resumable.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from ..accounts import signer_for
from ..api import fetch_profiles
from ..arguments import check
from ..engage import ProfileFilters, ProfileQuery
from ..errors import StorageError
from ..extras import need
from ..results import ParallelProfileFetchResult
from ..store import ProfileStore, path_of

if TYPE_CHECKING:
    from dlt.extract import DltResource

    from ..accounts import AnyCredentials
    from ..display import Progress

__all__ = ["mixpanel_profiles"]

# dlt's own time for a batch is spent well above this; memory follows it.
_BATCH_ROWS = 5_000
_COLUMNS = {
    "distinct_id": {"data_type": "text", "nullable": True},
    "properties": {"data_type": "json"},
    "last_seen": {"data_type": "timestamp", "timezone": False},
}


def mixpanel_profiles(
    credentials: AnyCredentials | None = None,
    *,
    database: str | os.PathLike[str] | None = None,
    client: Any = None,
    max_workers: int | None = None,
    tolerance: int | str = 0,
    rate_limit_wait: float | None = None,
    progress: Progress = "auto",
    base_url: str | None = None,
    allow_http: bool = False,
    **filters: Unpack[ProfileFilters],
) -> DltResource:
    """Give every matching profile as a dlt resource: ``distinct_id``, ``properties`` as JSON, ``last_seen`` in UTC.

    It is named ``profiles``, has the primary key ``distinct_id`` and replaces its table; ``with_name``,
    ``apply_hints`` and the arguments of ``pipeline.run`` change that, as for any resource. Nothing is requested, and no
    environment is read, before dlt extracts it.

    Args:
        credentials: Who asks, as for :func:`~mixpanel_duckdb.fetch_profiles`; default: the environment.
        database: A DuckDB file of your own for the pages. It is kept: what arrived before a run failed is not
            requested again by the next one. Default: a temporary file, and a failed run starts from scratch.
        client: Your own client instead of ``credentials`` and ``base_url``, as for
            :class:`~mixpanel_duckdb.ParallelProfileFetcher`.
        max_workers: Page fetchers at a time, 1 to 5.
        tolerance: By how many profiles, or which share of them (``"0.1%"``), the result may differ from the server's
            total and be loaded all the same.
        rate_limit_wait: Most seconds to wait in all for the server's limits.
        progress: Whether to show the pages come in, as for :func:`~mixpanel_duckdb.fetch_profiles`; dlt's own progress
            begins with the rows.
        base_url: Host part of the server's URL.
        allow_http: Accept a base URL that is neither https nor loopback.
        **filters: See :class:`~mixpanel_duckdb.ProfileQuery`.

    Returns:
        A resource. While dlt extracts it, an incomplete fetch raises
        :class:`~mixpanel_duckdb.IncompleteFetchError`: the pipeline fails, and the destination keeps what it had.

    Raises:
        QueryError: A filter or another argument is wrong.
        CredentialsError: ``credentials`` are none.
        MixpanelError: dlt or pyarrow is not installed.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with Simulator(Population(3, seed=1)) as sim:
        ...     profiles = mixpanel_profiles(md.Credentials.from_env(sim.environment()), base_url=sim.base_url)
        ...     [batch.num_rows for batch in profiles]
        [3]
    """
    check(locals(), but={"database", "credentials", "filters"}, optional={"client"})
    if credentials is not None:
        signer_for(credentials)
    if database is not None:
        path_of(database)
    query = ProfileQuery(**filters)
    need("dlt")
    need("pyarrow", extra="dlt")
    import dlt  # noqa: PLC0415 - heavy, and not everybody's

    def batches() -> Iterator[Any]:
        resource = dlt.current.resource()
        with _place(database) as path, ProfileStore(path) as store:
            result = fetch_profiles(
                store,
                resource.name,
                credentials=credentials,
                client=client,
                max_workers=max_workers,
                if_exists="replace",
                allow_other=True,  # what a table of the destination may become is dlt's to say
                allow_shrink=True,
                tolerance=tolerance,
                rate_limit_wait=rate_limit_wait,
                progress=progress,
                base_url=base_url,
                allow_http=allow_http,
                **query.given(),
            )
            result.raise_for_failures()
            _refuse_merging_without_ids(result, resource.write_disposition)
            with _warned_once(resource.name):
                yield from _rows(result)

    return dlt.resource(
        batches, name="profiles", primary_key="distinct_id", write_disposition="replace", columns=_COLUMNS
    )


def _rows(result: ParallelProfileFetchResult) -> Iterator[Any]:
    with closing(result.relation().to_arrow_reader(_BATCH_ROWS)) as reader:
        if not result.total_rows:
            yield reader.schema.empty_table()  # else dlt would not make the table
        yield from reader


def _refuse_merging_without_ids(result: ParallelProfileFetchResult, disposition: Any) -> None:
    """Merging by a key keeps one of all rows without it, and adds that one again each time."""
    chosen = disposition["disposition"] if isinstance(disposition, dict) else disposition
    if chosen == "merge" and result.rows_without_distinct_id:
        raise StorageError(
            f"{result.rows_without_distinct_id:,} profiles have no $distinct_id, so they cannot be merged by it; use "
            "write_disposition='replace', which keeps them with NULL."
        )


@contextmanager
def _place(database: str | os.PathLike[str] | None) -> Iterator[str | os.PathLike[str]]:
    if database is not None:
        yield database
        return
    with tempfile.TemporaryDirectory(prefix="mixpanel-duckdb-") as folder:
        yield Path(folder, "profiles.duckdb")


@contextmanager
def _warned_once(name: str) -> Iterator[None]:
    """Let dlt say once a run, not once a batch, that its JSON column comes as Arrow's text."""
    logger, once = logging.getLogger("dlt"), _Once(f"In resource: {name}, when merging arrow schema")
    logger.addFilter(once)
    try:
        yield
    finally:
        logger.removeFilter(once)


class _Once(logging.Filter):
    def __init__(self, start: str) -> None:
        super().__init__()
        self._start = start
        self._said = False

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.getMessage().startswith(self._start) or record.levelno < logging.WARNING:
            return True
        said, self._said = self._said, True
        return not said
