"""``mp-fetch profiles``: what it stores, what it prints, what it asks."""

import json

import duckdb
import pytest

from mixpanel_duckdb.simulator import Fault, Population

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


def test_quiet_says_nothing_at_all_of_what_succeeds(mp_fetch, simulator):
    simulator.add_fault(Fault("status", page=3, status=502))
    done = mp_fetch("profiles", "--quiet", "--page-size", 10, "--workers", 8)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_quiet_says_its_warnings_when_it_fails(mp_fetch, simulator):
    simulator.add_fault(Fault("status", page=3, attempts=None, status=402, text="not today"))
    done = mp_fetch("profiles", "--quiet", "--page-size", 10)
    assert (done.code, done.out) == (1, "")
    assert [line.split()[0] for line in done.said] == ["Warning:", "Error:"]


def test_quiet_says_what_is_incomplete(mp_fetch, simulator):
    simulator.add_fault(Fault("status", page=3, attempts=None, status=500))
    done = mp_fetch("profiles", "--quiet")
    assert (done.code, done.err) == (4, "")
    assert "1 of 11 pages are missing" in done.out


def test_an_existing_table_is_refused_before_any_request_unless_it_is_replaced_or_merged(mp_fetch, simulator):
    assert mp_fetch("profiles", "--limit", 100, "-q").code == 0
    simulator.clear_requests()
    refused = mp_fetch("profiles", "--limit", 100)
    assert (refused.code, refused.out, simulator.requests) == (2, "", [])
    assert "--replace" in refused.err
    assert mp_fetch("profiles", "--limit", 200, "--merge", "--json").json["published"]
    assert mp_fetch("profiles", "--limit", 300, "--replace", "--json").json["total_rows"] == 300


def test_something_else_and_a_shrink_need_a_flag_of_their_own(mp_fetch, simulator):
    assert mp_fetch("profiles", "-q").code == 0
    other = ("profiles", "--replace", "--where", 'properties["plan"] == "pro"')
    refused = mp_fetch(*other, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (2, "unsuitable_table")
    assert refused.said[-1].startswith("Error: Table 'profiles' holds all profiles, but this fetch is of where=")
    held = mp_fetch(*other, "--allow-other")
    assert (held.code, "--allow-shrink" in held.out) == (4, True)
    assert "profiles: held, " in mp_fetch("status").out
    simulator.clear_requests()
    done = mp_fetch(*other, "--allow-other", "--allow-shrink", "--json")
    assert (done.code, done.json["published"], simulator.requests) == (0, True, [])


def test_a_difference_is_accepted_by_a_tolerance_or_published_afterwards(mp_fetch, simulator):
    simulator.add_fault(Fault("short_page", page=4, rows=98, attempts=None))
    left = mp_fetch("profiles", "-q")
    assert (left.code, left.err) == (4, "")
    assert "1,028 of 1,030 profiles: all 11 pages arrived, but page 4 had too few profiles" in left.out
    assert "1,028 of 1,030 profiles" in mp_fetch("status").out
    assert "starts over; mp-fetch publish takes them as they are" in mp_fetch("status").out
    simulator.clear_requests()
    done = mp_fetch("publish", "profiles", "--json")
    assert (done.code, done.json["accepted_difference"], done.json["is_complete"]) == (0, True, False)
    assert simulator.requests == []
    assert "profiles: accepted, 11 of 11 pages, 1,028 of 1,030 profiles" in mp_fetch("status").out
    assert mp_fetch("publish").code == 2
    for tolerance, code in (("0.1%", 4), ("2", 0), ("0.2%", 0), ("many", 2)):
        assert mp_fetch("profiles", "--replace", "--tolerance", tolerance, "-q").code == code


def test_what_changed_is_counted_and_listed(mp_fetch, simulator):
    assert mp_fetch("profiles", "--history", "-q").code == 0
    assert mp_fetch("changes", "profiles").out == "No changes.\n"
    simulator.replace_population(Population(PEOPLE + 1, seed=3))
    again = mp_fetch("profiles", "--replace", "--history")
    assert "1 added, 0 changed, 0 removed, 1,030 unchanged." in again.out
    listed = mp_fetch("changes", "--json").json["changes"]
    assert [(each["change"], each["distinct_id"]) for each in listed] == [("added", f"u-{PEOPLE:06}")]
    assert f"added   u-{PEOPLE:06}" in mp_fetch("changes", "--since", listed[0]["at"]).out
    assert mp_fetch("changes", "--since", "yesterday").code == 2
    assert mp_fetch("changes", "nothing").code == 2


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
    done = mp_fetch("profiles", "--workers", 8)
    assert done.code == 0
    assert [line for line in done.said if line.startswith("Warning")] == [
        "Warning: max_workers=8 is more than the 5 queries at a time that Mixpanel allows; using 5."
    ]
    assert simulator.max_in_flight <= 5


def test_more_than_sixty_pages_warn_once_before_they_are_fetched(mp_fetch):
    done = mp_fetch("profiles", "--page-size", 10)
    assert done.code == 0
    assert [line[:26] for line in done.said if line.startswith("Warning")] == ["Warning: 103 pages to fetc"]


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


@pytest.mark.parametrize("flag", ["-v", "--no-parallel"])
def test_a_notice_is_said_once(mp_fetch, simulator, flag):
    simulator.add_fault(Fault("short_page", page=2, rows=7))
    done = mp_fetch("profiles", flag)
    assert done.code == 0
    assert [line[:6] for line in done.said if "Page 2" in line] == ["Page 2"]
    assert "Page 2" not in done.out


def test_a_notice_that_quiet_kept_back_is_in_the_result(mp_fetch, simulator):
    simulator.add_fault(Fault("short_page", page=2, rows=7))
    done = mp_fetch("profiles", "--quiet", "--json")
    assert (done.code, done.err) == (0, "")
    assert "Page 2" in done.json["notices"][0]


@pytest.mark.parametrize("flag", ["--no-resume", "--resume"])
def test_no_resume_starts_over(mp_fetch, simulator, flag):
    simulator.add_fault(Fault("quota", page=range(6, 11), attempts=None, retry_after=600))
    assert mp_fetch("profiles", "--max-wait", 1, "-q").code == 4
    simulator.clear_faults()
    again = mp_fetch("profiles", flag, "--json").json
    assert (again["resumed_pages"] == 0) is (flag == "--no-resume")


def test_an_unfinished_fetch_is_gone_on_with_for_as_long_as_is_said(mp_fetch, simulator):
    simulator.add_fault(Fault("quota", page=3, attempts=None, retry_after=60))
    assert mp_fetch("profiles", "--max-wait", 0.1, "-q").code == 4
    simulator.clear_faults()
    simulator.clear_requests()
    with duckdb.connect(str(mp_fetch.folder / "mixpanel.duckdb")) as connection:
        for table, column in (("pages", "committed_at"), ("fetches", "started_at")):
            connection.execute(f"UPDATE _mixpanel_{table} SET {column} = {column} - INTERVAL 5 HOURS")
    assert "goes on from there" in mp_fetch("status").out
    assert mp_fetch("profiles", "--resume-max-age", 3600, "--max-wait", 0, "--json").json["resumed_pages"] == 0
    assert simulator.requests[0].page == 0


def test_an_unfinished_fetch_of_five_hours_ago_is_gone_on_with(mp_fetch, simulator):
    simulator.add_fault(Fault("quota", page=3, attempts=None, retry_after=60))
    assert mp_fetch("profiles", "--max-wait", 0.1, "-q").code == 4
    simulator.clear_faults()
    with duckdb.connect(str(mp_fetch.folder / "mixpanel.duckdb")) as connection:
        for table, column in (("pages", "committed_at"), ("fetches", "started_at")):
            connection.execute(f"UPDATE _mixpanel_{table} SET {column} = {column} - INTERVAL 5 HOURS")
    done = mp_fetch("profiles", "--json").json
    assert (done["is_complete"], done["resumed_pages"] > 0) == (True, True)
