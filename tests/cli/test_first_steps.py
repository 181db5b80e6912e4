"""What somebody sees who tries the command for the first time: what to do next, and what is amiss, in a sentence."""

import shlex
from pathlib import Path

import httpx
import pytest

import mixpanel_duckdb as md
from cli.command import MpFetch
from helpers import LONGEST, client_of
from mixpanel_duckdb.simulator import Population, Simulator


@pytest.fixture(autouse=True)
def somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a CI system runs the tests, a terminal counts as a log."""
    monkeypatch.delenv("CI", raising=False)


def on_a_terminal(mp_fetch: MpFetch, *words: object, columns: int = 80, both: bool = True) -> tuple[int, list[str]]:
    """Run a command whose output, and talk if ``both``, go to a terminal so wide; give its code and its lines."""
    code, said = mp_fetch.on_terminal(*words, columns=columns, streams=("stdout", "stderr")[: 1 + both])
    return code, [line.rsplit("\r", 1)[-1] for line in said.replace("\r\n", "\n").split("\n")]


@pytest.mark.parametrize(
    ("table", "database"), [("profiles", None), ("my table", "a b.duckdb"), ('say "x"', "x.duckdb")]
)
def test_a_fetch_ends_with_how_to_look_at_its_rows_and_that_works(mp_fetch, table, database):
    where = ["-d", database] if database else []
    done = mp_fetch("profiles", table, *where)
    *_, look, typed = done.out.splitlines()
    assert (done.code, look.split(":")[0], typed.split(":")[0]) == (0, "Look at it", "A column for each property")
    for line in (look, typed):
        program, *words = shlex.split(line.partition(": ")[2])
        assert program == "mp-fetch"
        assert mp_fetch(*words).code == 0
    assert "Look" not in mp_fetch("profiles", table, *where, "--replace", "--json").out
    assert mp_fetch("profiles", table, *where, "--replace", "-q").out == ""


def test_the_demo_ends_with_commands_that_work_and_its_columns_are_numbers(tmp_path):
    mp_fetch = MpFetch(tmp_path)
    done = mp_fetch("demo", "--profiles", 2500, "--latency", 0.01)
    *_, look, typed = done.out.splitlines()
    for line in (look, typed):
        assert mp_fetch(*shlex.split(line.partition(": ")[2])[1:]).code == 0
    columns = {
        each["column"]: each["type"]
        for each in mp_fetch("typed", "demo_parallel", "-d", "mixpanel-demo.duckdb", "--json").json["columns"]
    }
    expected = {"seats": "BIGINT", "beta": "BOOLEAN", "tags": "VARCHAR[]", "mrr": "DOUBLE", "browser_version": "BIGINT"}
    assert columns.items() >= expected.items()


@pytest.mark.parametrize("name", ["run.png", "-", "run.svg.gz", "picture.PDF"])
def test_a_timeline_is_an_svg_and_nothing_else(mp_fetch, tmp_path, name):
    for words in (["profiles", "--timeline", name], ["status", "--timeline", name]):
        done = mp_fetch(*words)
        assert (done.code, done.out) == (2, "")
        assert f"--timeline {name} cannot be: the picture is an SVG, so give a file that ends in .svg." in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_where_without_properties_is_told_how_they_are_written(mp_fetch, simulator):
    done = mp_fetch("profiles", "--where", 'plan == "pro"')
    assert done.code == 2
    assert done.err.rstrip().endswith('In where, a property is written properties["plan"].')
    with client_of(simulator) as client:
        with pytest.raises(md.RequestRejectedError, match=r'In where, a property is written properties\["plan"\]'):
            next(client.export_profiles(where='plan == "pro"'))
        with pytest.raises(md.RequestRejectedError) as caught:
            client.query_engage_page(0, where='properties["plan"] ==')
    assert "In where" not in str(caught.value)


ACCOUNTS = {
    "tables": '[accounts.team]\ntype = "oauth_token"\n[accounts.prod]\ntype = "oauth_token"\n',
    "list": '[[accounts]]\nname = "team"\n[[accounts]]\nname = "prod"\n',
}


@pytest.mark.parametrize("form", ACCOUNTS)
def test_a_missing_account_names_those_that_the_sdk_has_stored(tmp_path, form):
    (tmp_path / ".mp").mkdir()
    (tmp_path / ".mp" / "config.toml").write_text(ACCOUNTS[form])
    done = MpFetch(tmp_path, {"HOME": str(tmp_path)})("profiles")
    assert done.code == 3
    assert "Set MP_USERNAME, MP_SECRET, MP_PROJECT_ID in the environment" in done.err
    assert "an account that mixpanel-headless has stored (team, prod): --account team, or in Python" in done.err


@pytest.mark.parametrize("text", [None, "no TOML [", "", "accounts = 5", '[settings]\nx = "y"'])
def test_without_stored_accounts_the_error_is_about_the_variables_alone(tmp_path, text):
    if text is not None:
        (tmp_path / ".mp").mkdir()
        (tmp_path / ".mp" / "config.toml").write_text(text)
    done = MpFetch(tmp_path, {"HOME": str(tmp_path)})("profiles")
    assert (done.code, "headless" in done.err) == (3, False)


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_help_and_messages_are_as_wide_as_the_terminal_and_break_between_words(mp_fetch, columns):
    code, lines = on_a_terminal(mp_fetch, "profiles", "--help", columns=columns)
    assert code == 0
    assert max(map(len, lines)) <= columns
    assert (max(map(len, lines)) > 80) is (columns > 80)
    code, lines = on_a_terminal(MpFetch(mp_fetch.folder), "profiles", columns=columns)
    assert code == 3
    assert max(map(len, lines)) <= columns
    sentence = " ".join(" ".join(lines).split())
    assert "a service account needs MP_USERNAME, MP_SECRET and MP_PROJECT_ID; a token MP_OAUTH_TOKEN" in sentence


def test_the_report_of_typed_columns_fits_the_terminal(mp_fetch):
    assert mp_fetch("profiles", "-q").code == 0
    for columns in (80, 120):
        code, lines = on_a_terminal(mp_fetch, "typed", "--mostly", 0.9, columns=columns)
        assert code == 0
        assert max(map(len, lines)) <= columns
    assert lines[0].split() == ["column", "type", "coverage", "misfits", "values"]
    seats = next(line.split() for line in lines if line.startswith("seats "))
    assert (seats[1], int(seats[3]) > 0) == ("BIGINT", True)


def test_the_simulator_of_the_command_has_no_quota_but_one_that_is_asked_for(tmp_path):
    with serving(tmp_path) as variables:
        for _ in range(65):
            assert page_0(variables) == 200
    with serving(tmp_path, "--quota", 2, "--project", 77, "--fault", "status@0") as variables:
        assert variables["MP_PROJECT_ID"] == "77"
        assert [page_0(variables) for _ in range(4)] == [500, 200, 429, 429]
    for wrong in ("nonsense", "reset@", "reset@x", "reset@-1"):
        done = MpFetch(tmp_path)("simulate", "--fault", wrong)
        assert (done.code, done.out) == (2, "")
        assert f"{wrong!r} is none; give one of status, " in done.err


class serving:  # noqa: N801 - a context manager, as a function would be
    """``mp-fetch simulate`` while the block runs; gives its variables."""

    def __init__(self, folder: Path, *words: object) -> None:
        self._process = MpFetch(folder).start("simulate", "--profiles", 5, *words)

    def __enter__(self) -> dict[str, str]:
        assert self._process.stdout is not None
        self._process.stdout.readline()
        lines = (self._process.stdout.readline().removeprefix("export ").strip() for _ in range(5))
        return dict(line.split("=", 1) for line in lines)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=LONGEST)


def page_0(variables: dict[str, str]) -> int:
    """The status that a single request ends in."""
    return httpx.get(
        f"{variables['MP_API_BASE_URL']}/api/query/engage",
        params={"project_id": variables["MP_PROJECT_ID"]},
        auth=(variables["MP_USERNAME"], variables["MP_SECRET"]),
        trust_env=False,
    ).status_code


def test_results_and_lists_print_as_their_summary(database):
    with Simulator(Population(30, seed=1)) as sim, client_of(sim) as client:
        assert str(md.list_fetches(md.ProfileStore())) == "no fetches yet"
        plan = md.plan_fetch(client=client)
        result = md.fetch_profiles(database, client=client)
        listed = md.list_fetches(database)
    assert str(plan) == plan.summary()
    assert str(result) == result.summary()
    assert repr(result).startswith("ParallelProfileFetchResult(")
    assert ">30</td>" in plan._repr_html_()
    assert str(listed).splitlines()[1].split()[:6] == ["profiles", "complete", "1", "of", "1", "30"]
    assert ">complete</td>" in listed._repr_html_()
    assert isinstance(listed, list)
    assert listed[0].started_at.utcoffset().total_seconds() == 0
    assert listed[0].updated_at <= result.fetched_at
    typed = result.typed()
    assert str(typed) == typed.summary()


def test_a_missing_package_is_an_import_error(monkeypatch, database):
    monkeypatch.setattr("mixpanel_duckdb.extras.installed", lambda module: False)
    with Simulator(Population(3, seed=1)) as sim, client_of(sim) as client:
        result = md.fetch_profiles(database, client=client)
    for read in (result.df, result.pl, result.arrow):
        with pytest.raises(ImportError, match=r'pip install "mixpanel-duckdb\[') as caught:
            read()
        assert isinstance(caught.value, md.MissingExtraError)
        assert (caught.value.exit_code, caught.value.code) == (3, "missing_extra")
