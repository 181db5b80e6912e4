"""Each kind of fault alone: the exact table, or a clear report and a second run that completes it."""

import json

import httpx
import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, client_of, fetch, pages_asked, served, stored, tables
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator

PEOPLE = Population(PAGE * 12 - 7, seed=3)
PAGES = 12
FREE = Limits(quota=None)

PASSING = [
    *(Fault("status", page=5, status=status) for status in (304, 408, 409, 421, 423, 449, 499, 500, 502, 503, 504)),
    *(Fault("page_as", page=page, status=status) for status in (201, 203, 206) for page in (0, 5)),
    Fault("status", page=5, status=503, retry_after=0.05),
    Fault("status", page=0, status=500),
    Fault("status", page=5, attempts=4, status=500),
    Fault("reset", page=5),
    Fault("reset", page=5, after=0.0),
    Fault("reset", page=0),
    Fault("cut", page=5),
    Fault("cut", page=5, after=0.0),
    Fault("cut", page=0),
    Fault("cut_chunked", page=5),
    Fault("cut_gzip", page=5),
    Fault("cut_gzip", page=5, after=0.97),
    Fault("cut_gzip", page=0),
    Fault("bad_gzip", page=5),
    Fault("bad_gzip", page=0),
    Fault("slow", page=5, seconds=0.3),
    Fault("delay", page=5, seconds=0.3),
    Fault("html_200", page=5),
    Fault("html_200", page=0),
    Fault("error_key_200", page=5),
    Fault("error_key_200", page=0),
    Fault("error_key_200", page=5, text="Query rate limit exceeded for project_id: 1"),
    *(
        Fault("fields", page=page, fields=fields)
        for page in (0, 5)
        for fields in (
            {"status": "error"},
            {"error": "shard timeout", "failed": [3]},
            {"error": {"code": 7}, "a": [{}]},
            {"deep": json.loads("[" * 900 + "]" * 900), "status": "partial"},
        )
    ),
    Fault("garbage_200", page=5, after=0.0),
    Fault("garbage_200", page=5, after=1.0),
    Fault("garbage_200", page=5, after=0.0, attempts=4),
    Fault("empty_page", page=5),
    Fault("empty_page", page=0, attempts=None, times=1),
    Fault("empty_page", page=11),
    Fault("short_page", page=5),
    Fault("short_page", page=0, attempts=None, times=1),
    Fault("wrong_page", page=5, of_page=2),
    Fault("wrong_page", page=5, of_page=6),
    Fault("wrong_page", page=0, of_page=3, attempts=None, times=1),
    Fault("wrong_total", page=5, total=99),
]


def _name(fault: Fault) -> str:
    what = {"status": f"{fault.status}", "page_as": f"page-as-{fault.status}"}.get(fault.kind, fault.kind)
    fields = "-".join(fault.fields)
    return f"{what}-page{fault.page}-x{fault.attempts}-at{fault.after:g}-{fault.of_page}{fields}"


@pytest.mark.parametrize("fault", PASSING, ids=_name)
def test_a_fault_that_passes_costs_a_request_and_nothing_else(fault: Fault, database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
        result = fetch(sim, database)
        asked = len(sim.requests)
    assert result.is_complete
    assert result.published
    assert not result.has_failures
    assert stored(database) == served(PEOPLE)
    failed = 0 if fault.kind in ("slow", "delay") else fault.times or fault.attempts
    assert asked == result.requests == PAGES + failed


LASTING = [
    *(Fault("status", page=5, attempts=None, status=status) for status in (500, 502, 503, 504)),
    Fault("reset", page=5, attempts=None),
    Fault("cut", page=5, attempts=None),
    Fault("cut_chunked", page=5, attempts=None),
    Fault("cut_gzip", page=5, attempts=None),
    Fault("bad_gzip", page=5, attempts=None),
    Fault("html_200", page=5, attempts=None),
    Fault("error_key_200", page=5, attempts=None),
    Fault("garbage_200", page=5, attempts=None, after=1.0),
    Fault("wrong_page", page=5, attempts=None, of_page=2),
    Fault("status", page={1, 5, 11}, attempts=None, status=500),
]


@pytest.mark.parametrize("fault", LASTING, ids=_name)
def test_a_page_that_never_comes_is_listed_and_the_next_run_asks_for_nothing_else(fault: Fault, database: str) -> None:
    lost = {fault.page} if isinstance(fault.page, int) else set(fault.page or ())
    with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
        result = fetch(sim, database)
        assert (result.has_failures, result.is_complete, result.published) == (True, False, False)
        assert set(result.failed_page_indices) == {index for index, _ in result.errors} == lost
        assert all(text for _, text in result.errors)
        assert result.total_rows + sum(PAGE if index < PAGES - 1 else PAGE - 7 for index in lost) == len(PEOPLE)
        assert tables(database) == set()
        sim.clear_faults()
        sim.clear_requests()
        again = fetch(sim, database)
        assert set(pages_asked(sim.requests)) == lost
        assert len(sim.requests) == len(lost)
    assert again.is_complete
    assert again.resumed_pages == PAGES - len(lost)
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize("kind", ["empty_page", "short_page", "duplicates"])
@pytest.mark.parametrize("page", [0, 5])
def test_a_page_that_stays_odd_is_reported_and_never_called_complete(kind: str, page: int, database: str) -> None:
    fault = Fault(kind, page=page, attempts=None, of_page=7)  # type: ignore[arg-type]
    with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
        result = fetch(sim, database)
        assert not result.is_complete
        assert not result.published
        assert result.total_rows < len(PEOPLE) == result.expected_rows
        assert result.duplicate_rows == (PAGE // 2 if kind == "duplicates" else 0)
        if kind != "duplicates":
            assert f"Page {page}: it has" in " ".join(result.notices)
        with pytest.raises(md.IncompleteFetchError):
            result.raise_for_failures()
        assert tables(database) == set()
        sim.clear_faults()
        again = fetch(sim, database)
    assert again.is_complete
    assert stored(database) == served(PEOPLE)


def test_an_old_table_outlives_a_replace_that_could_not_finish(database: str) -> None:
    old = Population(30, seed=9)
    with Simulator(old, limits=FREE) as sim:
        fetch(sim, database)
        sim.replace_population(PEOPLE)
        sim.add_fault(Fault("status", page=5, attempts=None, status=502))
        result = fetch(sim, database, if_exists="replace")
        assert not result.published
        assert stored(database) == served(old)
        sim.clear_faults()
        assert fetch(sim, database, if_exists="replace").is_complete
    assert stored(database) == served(PEOPLE)


def test_a_page_0_without_total_raises_and_publishes_nothing(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[Fault("missing_total", page=0)]) as sim:
        with pytest.raises(md.UnreadableAnswerError, match="no total"):
            fetch(sim, database)
        assert len(sim.requests) == 1
        assert tables(database) == set()
        assert fetch(sim, database).is_complete


def test_a_total_that_cannot_be_is_one_sentence(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[Fault("wrong_total", page=0, total=10**18)]) as sim:
        with pytest.raises(md.UnreadableAnswerError, match=r"total is 1,000,000,000,000,000,000") as caught:
            fetch(sim, database)
        assert str(caught.value).count(".") == 1
        assert len(sim.requests) == 1
        assert fetch(sim, database).is_complete


def test_a_status_that_is_not_ok_never_replaces_a_table(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        fetch(sim, database)
        empty = {"results": [], "status": "error", "total": 0}
        sim.add_fault(Fault("fields", page=0, attempts=None, fields=empty))
        with pytest.raises(md.ServerError, match="status"):
            fetch(sim, database, if_exists="replace")
    assert stored(database) == served(PEOPLE)


FORMS = [
    {"total": str(len(PEOPLE))},
    {"total": float(len(PEOPLE)), "page_size": f"{PAGE}", "error": "", "status": "OK"},
    {"error": [], "failed": [], "note": "]}"},
    {"error": False, "gone": [{"$distinct_id": "x"}]},
    {"error": {}, "gone": [{"$distinct_id": "x"}, {"$distinct_id": "y"}]},
    {"error": 0, "status": None, "page_size": None, "more": {"results": [{"$distinct_id": "x"}]}},
]


@pytest.mark.parametrize("fields", FORMS, ids="-".join)
def test_other_forms_of_fields_and_lists_behind_the_rows_change_nothing(
    fields: dict[str, object], database: str
) -> None:
    later = {name: value for name, value in fields.items() if name != "total"}
    faults = [
        Fault("fields", page=page, attempts=None, fields=added)
        for page, added in ((0, fields), (range(1, PAGES), later))
    ]
    with Simulator(PEOPLE, limits=FREE, faults=faults) as sim:
        result = fetch(sim, database)
        assert (result.is_complete, result.requests) == (True, PAGES)
        with client_of(sim) as client:
            assert len(list(client.export_profiles(page_size=PAGE))) == len(PEOPLE)
    assert stored(database) == served(PEOPLE)


def test_a_total_that_stays_changed_is_reported(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[Fault("wrong_total", page=5, total=99, attempts=None)]) as sim:
        result = fetch(sim, database)
    assert f"Page 5: the server's total changed from {len(PEOPLE)} to 99; stored as it is." in result.notices


@pytest.mark.parametrize("total", [0, 30, 10_000])
def test_a_first_total_that_is_wrong_is_never_called_complete(total: int, database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[Fault("wrong_total", page=0, total=total)]) as sim:
        result = fetch(sim, database)
    assert not result.is_complete
    assert not result.published
    assert result.expected_rows == total


def test_a_session_lost_in_the_middle_starts_over_and_says_so(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[Fault("lost_session", page=5, times=1)]) as sim:
        result = fetch(sim, database)
        sessions = {record.session_id for record in sim.requests} - {None}
    assert result.is_complete
    assert len(sessions) == 2
    assert any("starting over" in text for text in result.notices)
    assert stored(database) == served(PEOPLE)


def test_a_session_that_is_lost_again_and_again_ends_the_run(database: str) -> None:
    with (
        Simulator(PEOPLE, limits=FREE, faults=[Fault("lost_session", page=5, attempts=None)]) as sim,
        pytest.raises(md.SessionLostError, match="uncached query"),
    ):
        fetch(sim, database)
    assert tables(database) == set()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, md.RequestRejectedError),
        (401, md.CredentialsError),
        (402, md.RequestRejectedError),
        (403, md.CredentialsError),
        (404, md.RequestRejectedError),
    ],
)
@pytest.mark.parametrize("page", [0, 5])
def test_a_refusal_ends_the_run_at_once_with_the_servers_words(
    status: int, kind: type[md.MixpanelError], page: int, database: str
) -> None:
    fault = Fault("status", page=page, attempts=None, status=status, text="these are my own words")
    with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
        with pytest.raises(kind, match="these are my own words") as caught:
            fetch(sim, database)
        asked = pages_asked(sim.requests)
    assert (caught.value.status, caught.value.page) == (status, page)
    assert asked.count(page) == 1
    assert tables(database) == set()


def test_a_redirect_to_another_host_is_refused_and_gets_no_credentials(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as elsewhere:
        away = Fault("redirect", page=5, location=f"{elsewhere.base_url}/api/query/engage?project_id=1")
        with (
            Simulator(PEOPLE, limits=FREE, faults=[away]) as sim,
            pytest.raises(md.RequestRejectedError, match="followed on the same host only"),
        ):
            fetch(sim, database)
        assert elsewhere.requests == []


def test_a_redirect_on_the_same_host_is_followed(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        target = "/api/2.0/engage?project_id=1"
        sim.add_fault(Fault("redirect", page=5, location=target))
        result = fetch(sim, database)
    assert result.is_complete
    assert stored(database) == served(PEOPLE)


def test_redirects_in_a_circle_end(database: str) -> None:
    there, back = "/api/2.0/engage?project_id=1", "/api/query/engage?project_id=1"
    circle = [
        Fault("redirect", attempts=attempts, location=to) for attempts, to in ((range(1, 99, 2), there), (99, back))
    ]
    with Simulator(PEOPLE, limits=FREE, faults=circle) as sim:
        with pytest.raises(md.RequestRejectedError, match="three times at most"):
            fetch(sim, database)
        assert len(sim.requests) == 4


def test_a_redirect_to_the_address_that_was_asked_for_ends_at_once_and_says_why(database: str) -> None:
    itself = Fault("redirect", page=0, attempts=None, location="/api/query/engage?project_id=1")
    with Simulator(PEOPLE, limits=FREE, faults=[itself]) as sim:
        with pytest.raises(md.RequestRejectedError, match="never to the address that was asked for"):
            fetch(sim, database)
        assert len(sim.requests) == 1


def test_silence_is_a_failed_request_like_any_other(database: str) -> None:
    # Long enough for any other page on a busy machine.
    with Simulator(PEOPLE, limits=FREE, faults=[Fault("hang", page=5)]) as sim:
        result = fetch(sim, database, timeout=httpx.Timeout(LONGEST, read=2.0))
    assert result.is_complete
    assert result.retries == 1
    assert stored(database) == served(PEOPLE)


def test_a_server_that_is_gone_is_given_up_before_every_page_was_tried(database: str) -> None:
    population = Population(PAGE * 60, seed=4)
    with Simulator(population, limits=FREE, faults=[Fault("reset", page=range(20, 60), attempts=None)]) as sim:
        result = fetch(sim, database)
        assert set(range(20, 60)) == set(result.failed_page_indices)
        assert len(sim.requests) < 120
        assert sum("not tried: 10 pages in a row failed" in reason for _, reason in result.errors) > 10
        sim.clear_faults()
        again = fetch(sim, database)
    assert again.is_complete
    assert stored(database) == served(population)


def test_servers_that_count_pages_from_1_are_understood_also_on_resume(database: str) -> None:
    lost = Fault("status", page=5, attempts=None, status=500)
    with Simulator(PEOPLE, behaviour=Behaviour(page_echo_offset=1), limits=FREE, faults=[lost]) as sim:
        assert fetch(sim, database).failed_page_indices == (5,)
        sim.clear_faults()
        assert fetch(sim, database).is_complete
    assert stored(database) == served(PEOPLE)
