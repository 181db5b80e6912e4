"""Code as a user of the package writes it, held by strict mypy (``.ci/run``); never run. Every public name is in it."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import mixpanel_duckdb as md


class Watching(md.SilentObserver):
    def __init__(self) -> None:
        self.plan: md.FetchPlan | None = None

    def planned(self, plan: md.FetchPlan) -> None:
        self.plan = plan

    def page_done(self, progress: md.ProfileBatchProgress) -> None:
        print(progress.page_index, progress.completed_pages / progress.total_pages)


def fetched(path: Path, stop: threading.Event) -> md.ParallelProfileFetchResult:
    watching: md.FetchObserver = Watching()
    try:
        result = md.fetch_profiles(
            path, "people", where='properties["plan"] == "pro"', if_exists="merge", observer=watching, stop=stop
        )
    except md.TableExistsError as error:
        raise SystemExit(error.table) from None
    except (md.CredentialsError, md.MissingExtraError, md.ConfigurationError) as error:
        raise SystemExit(error.exit_code) from error
    except md.RateLimitError as error:
        print(error.kind, error.retry_after)
        raise
    except (md.SessionLostError, md.RequestRejectedError, md.ServerError, md.UnreadableAnswerError) as error:
        print(error.status, error.server_text, error.page)
        raise
    except (md.ConnectionFailedError, md.EngageError, md.QueryError, md.FetchStopped, md.IncompleteFetchError):
        raise
    except (md.DatabaseLockedError, md.UnsuitableFileError, md.UnsuitableTableError, md.StorageError) as error:
        told: dict[str, Any] = error.to_dict()
        print(told)
        raise
    except md.MixpanelError:
        raise
    complete: bool = result.is_complete
    print(complete, result.summary(), result.total_rows + 1)
    return result


async def awaited(path: Path) -> int:
    profiles = await md.afetch_profiles(path, page_size=1000, on_batch_complete=lambda page: print(page.rows))
    events = await md.afetch_events(path, "2026-01-01", date(2026, 1, 31))
    return profiles.total_rows + events.total_rows


def in_pieces(path: Path) -> Iterator[dict[str, Any]]:
    who = md.Credentials(token="abc", project_id="42", region="eu")
    limiter, retry = md.RateLimiter(max_in_flight=3), md.RetryPolicy(attempts=2)
    with md.MixpanelClient(who, rate_limiter=limiter, retry=retry) as client, md.ProfileStore(path) as store:
        page: dict[str, Any] = client.query_engage_page(0, **md.ProfileQuery(cohort_id=7).given())
        print(page["total"], client.base_url, client.credentials.project_id)
        yield from client.export_profiles(limit=10, stop=threading.Event())
        fetcher = md.ParallelProfileFetcher(client, store, max_workers=2)
        fetcher.fetch_profiles("profiles", keep_history=True, tolerance="0.1%").raise_for_failures()
        batches = md.ParallelEventFetcher(client, store)
        result: md.ParallelFetchResult = batches.fetch_events(
            "events", "2026-01-01", "2026-01-02", on_batch_complete=heard
        )
        print(result.stored_days, store.fetches())


def heard(progress: md.BatchProgress) -> None:
    print(progress.from_date, progress.rows)


def afterwards(result: md.ParallelProfileFetchResult, path: Path) -> list[str]:
    typed: md.TypedColumns = result.typed(mostly=0.95, min_coverage=0.01)
    columns: tuple[md.TypedColumn, ...] = typed.columns
    again = md.type_columns(path, materialize=True)
    logins: md.TypedColumns = md.type_events(path, keep_properties=True)["Login"]
    picture: md.Timeline = md.fetch_timeline(path)
    picture.save("run.svg")
    file: md.ExportedTable = md.export_table(path, "people", "people.parquet", replace=True)
    happened: list[md.ProfileChange] = md.changes(path, "people", since=datetime.now(UTC))
    listed: list[md.FetchRecord] = md.list_fetches(path)
    held: list[md.EventTable] = md.list_event_tables(path)
    gone = md.forget_fetches(path, older_than=3600.0)
    known: md.ParallelProfileFetchResult = md.publish_fetch(path, "people")
    print(
        file.rows + again.rows + logins.rows,
        happened[0].change,
        listed[0].started_at.tzinfo,
        held[0].table,
        len(gone),
        known.table,
    )
    return [each.column for each in columns if each.misfits]


def many(jobs: Path) -> int:
    estimate: md.FetchEstimate = md.plan_fetch(where="true")
    days: md.EventEstimate = md.plan_events("here.duckdb", "2026-01-01", "2026-01-31")
    sizing: md.PageSizing | None = getattr(estimate, "sizing", None)
    target = md.Target("other.duckdb")
    md.fetch_profiles("here.duckdb", into=target)
    md.fetch_events("here.duckdb", "2026-01-01", "2026-01-02", events=["Login"])
    report: md.SyncReport = md.sync(jobs)
    first: md.JobOutcome = report.outcomes[0]
    print(estimate.total_pages, days.to_dict(), sizing, first.summary(), md.__version__)
    return report.exit_code
