"""Many projects in one call: each job as it should be, whatever became of the others, and only what is needed again."""

import contextlib
import doctest
import json
import os
import threading
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

import mixpanel_duckdb as md
from cli.command import MpFetch
from helpers import PAGE, served, stored, tables
from mixpanel_duckdb.jobs import read_jobs, run_jobs
from mixpanel_duckdb.simulator import EventFault, EventPopulation, Fault, Limits, Population, RawExport, Simulator

FREE = Limits(quota=None)
BUSY = Fault("quota", page=2, attempts=None, retry_after=60)
BROKEN = Fault("status", attempts=None, status=402)
VARIABLES = ("MP_USERNAME", "MP_SECRET", "MP_OAUTH_TOKEN", "MP_PROJECT_ID", "MP_REGION", "MP_WORKSPACE_ID")


def people(number):
    return Population(PAGE * 3 + 1 + number, seed=number)


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def four():
    """Four projects, each with an account of its own."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                Simulator(people(number), limits=FREE, project_id=f"10{number}", username=f"u{number}", secret="s3cret")
            )
            for number in range(4)
        ]


@pytest.fixture
def content(four, database, monkeypatch):
    """Their jobs, into one file, as a mapping."""
    jobs = []
    for number, sim in enumerate(four):
        monkeypatch.setenv(f"USER_{number}", f"u{number}")
        monkeypatch.setenv(f"SECRET_{number}", "s3cret")
        jobs.append(
            {
                "project_id": sim.account.project_id, "table": f"app_{number}", "base_url": sim.base_url,
                "username_env": f"USER_{number}", "secret_env": f"SECRET_{number}",
            }
        )  # fmt: skip
    return {"defaults": {"database": database, "if_exists": "replace", "page_size": PAGE}, "profiles": jobs}


def toml(content):
    """The same as a file."""
    head = "\n".join(f"{key} = {json.dumps(value)}" for key, value in content["defaults"].items())
    jobs = ["\n".join(f"{key} = {json.dumps(value)}" for key, value in job.items()) for job in content["profiles"]]
    return "\n[[profiles]]\n".join([f"[defaults]\n{head}\n", *jobs])


def states(report):
    return {each.table: each.state for each in report.outcomes}


def test_four_projects_go_into_one_file(four, content, database):
    report = md.sync(content)
    assert (report.exit_code, report.is_complete) == (0, True)
    assert [(each.project_id, each.state) for each in report.outcomes] == [(f"10{n}", "complete") for n in range(4)]
    for number in range(4):
        assert stored(database, f"app_{number}") == served(people(number))


def test_one_failing_and_one_incomplete_leave_the_others_alone_and_only_they_are_repeated(four, content, database):
    four[1].add_fault(BROKEN)
    four[2].add_fault(BUSY)
    content["profiles"][2]["rate_limit_wait"] = 0.1
    report = md.sync(content)
    assert states(report) == {"app_0": "complete", "app_1": "failed", "app_2": "incomplete", "app_3": "complete"}
    assert report.exit_code == 1
    assert tables(database) == {"app_0", "app_3"}
    with pytest.raises(md.RequestRejectedError):
        report.raise_for_failures()
    for sim in four:
        sim.clear_faults()
        sim.clear_requests()
    again = md.sync(content, max_age=3600)
    assert states(again) == {"app_0": "skipped", "app_1": "complete", "app_2": "complete", "app_3": "skipped"}
    asked = [[record.page for record in sim.requests] for sim in four]
    assert (asked[0], asked[3], sorted(asked[1])) == ([], [], [0, 1, 2, 3])
    assert 0 not in asked[2]
    assert set(asked[2]) >= {2}
    assert again.exit_code == 0
    for number in range(4):
        assert stored(database, f"app_{number}") == served(people(number))


def test_the_command_says_the_same_with_the_exit_code_of_the_worst(four, content, database, tmp_path):
    four[1].add_fault(BROKEN)
    four[2].add_fault(BUSY)
    content["profiles"][2]["rate_limit_wait"] = 0.1
    (tmp_path / "jobs.toml").write_text(toml(content), encoding="utf-8")
    variables = {f"{kind}_{n}": value for n in range(4) for kind, value in (("USER", f"u{n}"), ("SECRET", "s3cret"))}
    mp_fetch = MpFetch(tmp_path, variables)
    done = mp_fetch("sync", "jobs.toml", "--json")
    told = json.loads(done.out)
    assert done.code == 1
    assert [(each["project_id"], each["table"], each["state"]) for each in told] == [
        ("100", "app_0", "complete"), ("101", "app_1", "failed"), ("102", "app_2", "incomplete"),
        ("103", "app_3", "complete"),
    ]  # fmt: skip
    assert [each["is_complete"] for each in told] == [True, False, False, True]
    assert told[0]["total_rows"] == len(people(0))
    assert told[1]["error"]["status"] == 402
    assert "s3cret" not in done.out + done.err
    four[1].clear_faults()
    half = mp_fetch("sync", "jobs.toml", "--max-age", 1)
    assert half.code == 4
    assert half.out.endswith("4 jobs: 1 complete, 1 incomplete, 2 skipped.\n")
    four[2].clear_faults()
    assert (last := mp_fetch("sync", "jobs.toml", "--max-age", 1, "-q")).code == 0
    assert (last.out, last.err) == ("", "")


def test_jobs_of_one_project_follow_each_other_and_those_of_two_run_at_once(four, content):
    twins = [{**content["profiles"][0], "table": f"twin_{number}"} for number in range(2)]
    both = threading.Barrier(2, timeout=60)
    seen = []

    class Observed(md.ProfileStore):
        def begin(self, spec, **more):
            seen.append((spec.project_id, threading.current_thread().name))
            if spec.table in ("twin_0", "app_1"):
                both.wait()  # neither would come here without the other
            return super().begin(spec, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mixpanel_duckdb.jobs.projects.ProfileStore", Observed)
        assert md.sync({**content, "profiles": [*twins, content["profiles"][1]]}).is_complete
    assert len(seen) == 3
    assert len({thread for project, thread in seen if project == "100"}) == 1
    assert len({thread for _, thread in seen}) == 2


def test_jobs_of_one_project_share_its_limits(content, monkeypatch):
    limiters = []

    class Noted(md.MixpanelClient):
        def __init__(self, *who, **options):
            super().__init__(*who, **options)
            limiters.append((self.credentials.project_id, self.rate_limiter))

    monkeypatch.setattr("mixpanel_duckdb.jobs.projects.MixpanelClient", Noted)
    twins = [{**content["profiles"][0], "table": f"twin_{number}"} for number in range(2)]
    assert md.sync({**content, "profiles": [*twins, content["profiles"][1]]}).is_complete
    assert len(limiters) == 3
    assert len(set(limiters)) == 2


def test_many_nights_into_one_file_side_by_side(four, content, database):
    """DuckDB refuses transactions that change the same rows: no two jobs may."""
    jobs = [{**job, "table": f"{job['table']}_{n}"} for job in content["profiles"] for n in range(2)]
    for _ in range(2):
        report = md.sync({**content, "profiles": jobs})
        assert [str(each.error) for each in report.outcomes if each.error] == []
        assert report.is_complete
    for number in range(4):
        assert stored(database, f"app_{number}_1") == served(people(number))


def test_an_interrupt_stops_all_jobs_and_the_next_call_goes_on(four, content, database):
    for sim in four:
        sim.add_fault(Fault("hang", page=3, attempts=None))
    jobs = read_jobs(content)

    class Together:
        say = staticmethod(str)

        def draw(self, runs):
            if all(run.pages == 3 for run in runs):
                raise KeyboardInterrupt

        def close(self):
            pass

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, together=Together())
    asked = [len(sim.requests) for sim in four]

    assert [len(sim.requests) for sim in four] == asked
    left = md.list_fetches(database)
    assert {each.state for each in left} == {"incomplete"}
    for sim in four:
        sim.clear_faults()
    report = run_jobs(jobs)
    assert report.is_complete
    assert [each.result.resumed_pages for each in report.outcomes] == [3] * 4


def test_missing_variables_are_that_jobs_failure(four, content, monkeypatch):
    monkeypatch.delenv("SECRET_2")
    report = md.sync(content)
    assert states(report) == {"app_0": "complete", "app_1": "complete", "app_2": "failed", "app_3": "complete"}
    assert report.exit_code == 3
    assert str(report.outcomes[2].error) == "SECRET_2 (secret_env) is not set in the environment."


def test_a_table_that_was_dropped_replaced_or_is_of_something_else_is_fetched_again(four, content, database):
    content["profiles"] = content["profiles"][:1]
    assert md.sync(content).is_complete
    assert states(md.sync(content, max_age=60)) == {"app_0": "skipped"}
    assert states(md.sync(content, max_age=0)) == {"app_0": "complete"}
    with duckdb.connect(database) as connection:
        connection.execute("DROP TABLE app_0")
    assert states(md.sync(content, max_age=60)) == {"app_0": "complete"}
    content["profiles"][0].update(limit=5, allow_other=True)
    assert states(md.sync(content, max_age=60)) == {"app_0": "complete"}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"secret": "hunter2-hunter2"}, "'secret' does not belong into the file"),
        ({"api_token": "hunter2-hunter2"}, "'api_token' does not belong into the file"),
        ({"password": "hunter2-hunter2"}, "'password' does not belong into the file"),
        ({"secret_env": "hunter2-hunter2"}, "secret_env must be the name of a variable"),
        ({"token_env": "hunter2hunter2"}, "token_env must be the name of a variable"),
        ({"base_url": "https://me:hunter2-hunter2@mixpanel.com"}, "must not carry a user name or password"),
        ({"wher": "true"}, "'wher' is none of the keys of a job; did you mean 'where'?"),
        ({"observer": 1}, "'observer' is none of the keys of a job"),
        ({"resume": "yes"}, "resume is 'yes'; it must be True or False."),
        ({"max_workers": 0}, "max_workers is 0"),
        ({"if_exists": "drop"}, "if_exists is 'drop'"),
        ({"limit": 0}, "limit: "),
        ({"where": ""}, "where: is empty"),
        ({"sort_order": "ascending"}, "sort_order goes with sort_key"),
        ({"region": "mars"}, "region: "),
        ({"project_id": "my app"}, "project_id must be the numeric id"),
        ({"project_id": True}, "project_id"),
        ({"table": 5}, "table is 5"),
        ({"database": ":memory:"}, "database must be the path of a file."),
        ({"database": ""}, "database must be the path of a file."),
        ({"base_url": "http://example.com"}, "is not https"),
        ({"token_env": "TOKEN", "secret_env": "SECRET_1"}, "token_env excludes"),
        ({"table": "APP_0"}, "both write table"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_in_one_sentence_before_the_first_request(keys, told, four, content):
    content["profiles"][1].pop("username_env")
    content["profiles"][1].update(keys)
    with pytest.raises(md.ConfigurationError) as caught:
        md.sync(content)
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert ("job 2" in str(caught.value)) or ("jobs 1 and 2" in str(caught.value))
    assert [sim.requests for sim in four] == [[]] * 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"[[profiles]\n", "is no TOML"),
        (b"\xff\xfe", "is no TOML"),
        (b"", "has no job"),
        (b"profiles = []", "has no job"),
        (b"[profiles]\ntable = 'a'", "one [[profiles]] or [[events]] for each job"),
        (b"profiles = [1]", "one [[profiles]] or [[events]] for each job"),
        (b"events = [1]", "one [[profiles]] or [[events]] for each job"),
        (b"defaults = 1\n[[profiles]]", "one [defaults] at most"),
        (b"[[groups]]\n[[profiles]]", "has 'groups'"),
    ],
    ids=str,
)
def test_a_file_that_is_none_is_said(text, told, tmp_path):
    (tmp_path / "jobs.toml").write_bytes(text)
    with pytest.raises(md.ConfigurationError, match=r"jobs\.toml") as caught:
        md.sync(tmp_path / "jobs.toml")
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_said_and_exits_with_2(tmp_path):
    with pytest.raises(md.UnsuitableFileError, match=r"The file 'nowhere\.toml' cannot be read: No such file"):
        md.sync("nowhere.toml")
    assert MpFetch(tmp_path)("sync", "nowhere.toml").code == 2


def test_accented_letters_in_either_case_are_tables_of_two_jobs():
    assert [job.table for job in read_jobs({"profiles": [{"table": "É"}, {"table": "é"}]})] == ["É", "é"]


def test_every_keyword_of_a_fetch_is_a_key():
    (job,) = read_jobs({"profiles": [{"resume": False, "max_workers": 2, "rate_limit_wait": 5, "where": "true"}]})
    assert job.options == {"resume": False, "max_workers": 2, "rate_limit_wait": 5}
    assert job.filters == {"where": "true"}


def test_credentials_of_a_job_go_before_those_of_the_environment(monkeypatch):
    for name, value in {"MP_USERNAME": "a", "MP_SECRET": "b", "MP_PROJECT_ID": "1", "MP_WORKSPACE_ID": "9",
                        "MP_REGION": "in", "TOKEN": "t"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    home, other = read_jobs(
        {"profiles": [{"table": "a"}, {"table": "b", "project_id": 2, "region": "eu", "token_env": "TOKEN"}]}
    )
    who = home.credentials()
    assert (who.username, who.project_id, who.workspace_id, who.region) == ("a", "1", "9", "in")
    who = other.credentials()
    assert (who.username, who.project_id, who.workspace_id, who.region) == (None, "2", None, "eu")
    assert who.token.get_secret_value() == "t"


FIRST, LAST = date(2026, 1, 1), date(2026, 1, 4)


@pytest.fixture
def both(database, monkeypatch):
    """A project with profiles and events, and a job for each."""
    export = RawExport(EventPopulation(FIRST, LAST, 50))
    with Simulator(people(1), limits=FREE, events=export) as sim:
        for name, value in sim.environment().items():
            monkeypatch.setenv(name, value)
        events = {"from_date": FIRST, "to_date": LAST}
        yield sim, {"defaults": {"database": database, "if_exists": "replace"}, "profiles": [{}], "events": [events]}


def test_events_are_a_job_like_any_other_and_only_what_is_missing_is_asked_for_again(both, database):
    sim, content = both
    report = md.sync(content)
    assert [(each.table, each.state) for each in report.outcomes] == [("profiles", "complete"), ("events", "complete")]
    assert (report.exit_code, report.outcomes[1].result.total_rows) == (0, 200)
    assert report.to_list()[1]["stored_days"] == 4
    sim.clear_requests()
    again = md.sync(content, max_age=3600)
    assert states(again) == {"profiles": "skipped", "events": "complete"}
    assert sim.requests == []
    assert md.sync({**content, "events": [{**content["events"][0], "refetch": True}]}, max_age=3600).is_complete
    assert len(sim.requests) > 0


def test_all_jobs_of_a_project_have_one_sense_of_the_limits_of_the_export(tmp_path, monkeypatch):
    export = RawExport(EventPopulation(FIRST, LAST, 10), per_second=3)
    job = {"from_date": FIRST, "to_date": date(2026, 1, 3), "days_per_request": 1}
    jobs = [{**job, "database": str(tmp_path / f"{number}.duckdb")} for number in range(2)]
    with Simulator(people(1), limits=FREE, events=export) as sim:
        for name, value in sim.environment().items():
            monkeypatch.setenv(name, value)
        assert md.sync({"events": jobs}).is_complete
        assert [each.status for each in sim.requests] == [200] * 6


def test_days_of_events_that_are_still_open_are_asked_for_again_unless_they_are_young(database, monkeypatch):
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    export = RawExport(EventPopulation(yesterday - timedelta(days=9), yesterday + timedelta(days=1), 10))
    content = {"defaults": {"database": database}, "events": [{"last_days": 3}]}
    with Simulator(people(1), limits=FREE, events=export) as sim:
        for name, value in sim.environment().items():
            monkeypatch.setenv(name, value)
        first = md.sync(content).outcomes[0].result
        assert (first.stored_days, first.open_days, first.total_rows) == (3, 3, 30)
        assert md.sync(content, max_age=3600).outcomes[0].result.stored_days == 0
        assert md.sync(content, max_age=0).outcomes[0].result.stored_days == 3
        assert md.sync(content).outcomes[0].result.stored_days == 3


def test_events_that_have_to_wait_too_long_are_incomplete_and_leave_the_profiles_alone(both):
    sim, content = both
    sim.events.faults.add(EventFault("status", status=429, headers={"Retry-After": "60"}, times=None))
    content["events"][0]["rate_limit_wait"] = 0.1
    report = md.sync(content)
    assert states(report) == {"profiles": "complete", "events": "incomplete"}
    assert report.exit_code == 4
    with pytest.raises(md.IncompleteFetchError):
        report.raise_for_failures()


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({}, "events need from_date, the first day, or last_days"),
        ({"last_days": 3, "from_date": FIRST}, "events need from_date, the first day, or last_days"),
        ({"last_days": 0}, "last_days: "),
        ({"last_days": True}, "last_days: "),
        ({"last_days": 99_999_999}, "last_days is 99999999"),
        ({"last_days": 10**40}, "last_days is 1"),
        ({"last_days": 2, "to_date": "0001-01-01"}, "last_days is 2"),
        ({"from_date": "yesterday"}, "from_date: "),
        ({"from_date": LAST, "to_date": FIRST}, "from_date"),
        ({"last_days": 3, "page_size": 5}, "'page_size' is none of the keys of a job"),
        ({"last_days": 3, "last_day": 5}, "did you mean 'last_days'?"),
        ({"last_days": 3, "events": "Login"}, "events"),
        ({"last_days": 3, "refresh_days": -1}, "refresh_days is -1"),
    ],
    ids=str,
)
def test_what_cannot_be_done_with_events_is_said_before_the_first_request(keys, told):
    with pytest.raises(md.ConfigurationError, match="job 2") as caught:
        read_jobs({"profiles": [{"project_id": 1}], "events": [keys]})
    assert told in str(caught.value)


def test_defaults_are_for_the_kinds_that_have_such_a_key():
    defaults = {"if_exists": "replace", "refresh_days": 2, "where": "true"}
    profiles, events = read_jobs({"defaults": defaults, "profiles": [{}], "events": [{"last_days": 2}]})
    assert (profiles.options, events.options) == ({"if_exists": "replace"}, {"refresh_days": 2})
    assert profiles.filters == events.filters == {"where": "true"}
    with pytest.raises(md.ConfigurationError, match="'refesh_days' is none"):
        read_jobs({"defaults": {"refesh_days": 2}, "profiles": [{}]})


def test_accounts_of_the_sdk_are_looked_up_by_the_name_that_a_job_has(four, content, monkeypatch):
    asked = []

    def opened(**names):
        asked.append(names)
        if names["account"] == "nobody":
            raise md.ConfigurationError("mixpanel-headless: no account 'nobody'")
        number = int(names["project"] or 103) - 100
        return md.Credentials(username=f"u{number}", secret="s3cret", project_id=f"10{number}")

    monkeypatch.setattr("mixpanel_duckdb.jobs.file.open_session", opened)
    content["defaults"]["account"] = "nobody"
    for job, names in zip(content["profiles"], ({"account": "home"}, {}, {}, {"target": "three"}), strict=True):
        if names:
            job.pop("username_env"), job.pop("secret_env")
        job.update(names)
    content["profiles"][3].pop("project_id")
    for key in ("username_env", "secret_env"):
        content["profiles"][2].pop(key)
    report = md.sync(content)
    assert states(report) == {"app_0": "complete", "app_1": "complete", "app_2": "failed", "app_3": "complete"}
    assert report.outcomes[3].project_id == "103"
    assert report.exit_code == 3
    assert {"account": "home", "project": "100", "target": None} in asked
    assert {"account": None, "project": None, "target": "three"} in asked


@pytest.mark.parametrize(
    "keys",
    [
        {"account": "a", "secret_env": "S"},
        {"target": "t", "token_env": "T"},
        {"account": "a", "region": "eu"},
        {"target": "t", "account": "a"},
        {"target": "t", "project_id": 1},
    ],
    ids=str,
)
def test_an_account_excludes_what_it_has_itself(keys):
    with pytest.raises(md.ConfigurationError, match="exclude"):
        read_jobs({"profiles": [keys]})


def test_the_example_of_sync_leaves_the_environment_as_it_was():
    before = dict(os.environ)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    for test in finder.find(md.sync, "sync"):
        assert runner.run(test).attempted > 3
    assert dict(os.environ) == before
