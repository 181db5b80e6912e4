"""``mp-fetch profiles``: what it stores, what it prints, what it asks."""

import json

import duckdb
import pytest

from mixpanel_duckdb.simulator import Fault

PEOPLE = 1030


def ids(folder, table="profiles", database="mixpanel.duckdb"):
    with duckdb.connect(str(folder / database), read_only=True) as connection:
        return {row[0] for row in connection.execute(f"SELECT distinct_id FROM {table}").fetchall()}


def test_the_table_holds_every_profile_and_the_text_says_so(mp_fetch, simulator, tmp_path):
    done = mp_fetch("profiles")
    assert done.code == 0
    assert "1,030 of 1,030 profiles in table 'profiles'" in done.out
    assert "11 of 11 pages" in done.out
    everybody = {str(profile["$distinct_id"]) for profile in simulator._engage._population.profiles()}
    assert ids(tmp_path) == everybody


def test_json_is_one_object_on_standard_output_with_the_fields_of_the_result(mp_fetch):
    done = mp_fetch("profiles", "people", "--json", "--database", "other.duckdb")
    result = done.json
    assert (done.code, result["table"], result["total_rows"], result["requests"]) == (0, "people", PEOPLE, 11)
    assert result["is_complete"] is True


def test_quiet_says_nothing_on_standard_error(mp_fetch):
    done = mp_fetch("profiles", "--quiet", "--no-parallel")
    assert (done.code, done.err) == (0, "")


def test_an_existing_table_is_refused_before_any_request_unless_it_is_replaced_or_merged(mp_fetch, simulator):
    assert mp_fetch("profiles", "--limit", 100, "-q").code == 0
    simulator.clear_requests()
    refused = mp_fetch("profiles", "--limit", 100)
    assert (refused.code, refused.out, simulator.requests) == (2, "", [])
    assert "--replace" in refused.err
    assert mp_fetch("profiles", "--limit", 200, "--merge", "--json").json["published"]
    assert mp_fetch("profiles", "--limit", 300, "--replace", "--json").json["total_rows"] == 300


def test_filters_reach_the_server_as_it_takes_them(mp_fetch, simulator):
    done = mp_fetch(
        "profiles", "--where", 'properties["plan"] == "pro"', "--cohort", 7, "--include-all-users",
        "--output-properties", '$email, "a, b"', "--output-properties", "plan", "--distinct-id", "u-1",
        "--distinct-id", "u-2", "--search", "ana", "--limit", 40, "--page-size", 20, "-q",
    )  # fmt: skip
    assert done.code in (0, 1)
    sent = simulator.requests[0].params
    assert json.loads(sent["output_properties"]) == ["$email", "a, b", "plan"]
    assert json.loads(sent["filter_by_cohort"]) == {"id": 7}
    assert json.loads(sent["distinct_ids"]) == ["u-1", "u-2"]
    assert (sent["search"], sent["where"]) == ("ana", 'properties["plan"] == "pro"')
    assert (str(sent["limit"]), str(sent["page_size"])) == ("40", "20")
    assert str(sent["include_all_users"]).lower() == "true"


def test_one_distinct_id_and_a_negative_group_id_are_taken_as_they_are(mp_fetch, simulator):
    assert mp_fetch("profiles", "--distinct-id", "u-000001", "--json").json["total_rows"] == 1
    assert simulator.requests[0].params["distinct_id"] == "u-000001"
    assert mp_fetch("profiles", "firms", "--group-id", "-1405123841946871899", "-q").code == 0
    assert simulator.requests[-1].params["data_group_id"] == "-1405123841946871899"


def test_more_than_five_workers_are_capped_with_one_warning(mp_fetch, simulator):
    done = mp_fetch("profiles", "--workers", 8, "-q")
    assert done.code == 0
    assert done.err.splitlines() == [
        "Warning: --workers 8 is capped at 5, the requests that a project may have at a time."
    ]
    assert simulator.max_in_flight <= 5


def test_more_than_sixty_pages_warn_once_before_they_are_fetched(mp_fetch):
    done = mp_fetch("profiles", "--page-size", 10, "-q")
    assert done.code == 0
    assert [line[:26] for line in done.err.splitlines()] == ["Warning: 103 pages to fetc"]


def test_no_parallel_asks_for_one_page_at_a_time(mp_fetch, simulator):
    assert mp_fetch("profiles", "--no-parallel", "-q").code == 0
    assert simulator.max_in_flight == 1


def test_an_incomplete_fetch_exits_with_4_and_the_same_command_goes_on(mp_fetch, simulator):
    simulator.add_fault(Fault("quota", page=range(6, 11), attempts=None, retry_after=600))
    partial = mp_fetch("profiles", "--max-wait", 1, "--json")
    assert partial.code == 4
    assert (partial.json["is_complete"], partial.json["published"]) == (False, False)
    simulator.clear_faults()
    rest = mp_fetch("profiles", "--json")
    assert (rest.code, rest.json["total_rows"]) == (0, PEOPLE)
    assert rest.json["resumed_pages"] == partial.json["successful_pages"] > 0
    assert rest.json["requests"] == 11 - rest.json["resumed_pages"]


@pytest.mark.parametrize(("flag", "start"), [("-v", "info: "), ("--no-parallel", "Note: ")])
def test_a_notice_is_said_once(mp_fetch, simulator, flag, start):
    simulator.add_fault(Fault("short_page", page=2, rows=7))
    done = mp_fetch("profiles", flag)
    assert done.code == 0
    assert [line[:12] for line in done.err.splitlines() if "Page 2" in line] == [f"{start}Page 2"]
    assert "Page 2" not in done.out


def test_a_notice_that_quiet_kept_back_is_in_the_result(mp_fetch, simulator):
    simulator.add_fault(Fault("short_page", page=2, rows=7))
    done = mp_fetch("profiles", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert "Page 2" in done.out


@pytest.mark.parametrize("flag", ["--no-resume", "--resume"])
def test_no_resume_starts_over(mp_fetch, simulator, flag):
    simulator.add_fault(Fault("quota", page=range(6, 11), attempts=None, retry_after=600))
    assert mp_fetch("profiles", "--max-wait", 1, "-q").code == 4
    simulator.clear_faults()
    again = mp_fetch("profiles", flag, "--json").json
    assert (again["resumed_pages"] == 0) is (flag == "--no-resume")
