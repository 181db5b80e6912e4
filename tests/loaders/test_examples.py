"""The examples of docs/loaders.md run in the real tools: complete or a failed try, and the next try goes on."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from helpers import fetch, pages_asked, served, stored
from mixpanel_duckdb.simulator import Behaviour, Fault, Population, Simulator

pytestmark = pytest.mark.timeout(600)
PEOPLE = Population(170, seed=4)
PAGES = 9
SMALL = Behaviour(page_size=20)
HERE = Path(__file__).parent


def later(tries):
    """A page that comes with another's number, both times that a try asks for it: the try ends incomplete."""
    return Fault("wrong_page", page=4, attempts=None, times=tries and 2 * tries, of_page=7)


def run(python, *arguments, environment, folder):
    """What a process prints; it has to end well."""
    done = subprocess.run(
        [python, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def driven(python, driver, file, environment):
    """What a driver tells in its last line; the tool works in the folder that is its user's home."""
    output = run(python, str(HERE / driver), file, environment=environment, folder=environment["HOME"])
    return json.loads(output.splitlines()[-1])


def written(code, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    return str(path)


def test_dlt_loads(examples, surroundings, tmp_path):
    first, _ = examples["dlt"]
    script = written(first, tmp_path / "load.py")
    with Simulator(PEOPLE, behaviour=SMALL) as sim:
        run(sys.executable, script, environment={**surroundings, **sim.environment()}, folder=tmp_path)
    assert loaded(tmp_path, "profiles") == len(PEOPLE)


def test_dlt_takes_credentials_from_its_own_secrets(examples, surroundings, tmp_path):
    _, second = examples["dlt"]
    script = written(second, tmp_path / "load.py")
    with Simulator(PEOPLE, behaviour=SMALL) as sim:
        known = sim.environment()
        secrets = {"username": known["MP_USERNAME"], "secret": known["MP_SECRET"], "project_id": known["MP_PROJECT_ID"]}
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in secrets.items())
        written(f"[sources.mixpanel]\n{lines}\n", tmp_path / ".dlt" / "secrets.toml")
        environment = {**surroundings, "MP_API_BASE_URL": sim.base_url}
        run(sys.executable, script, environment=environment, folder=tmp_path)
    wanted = sum(profile["$properties"].get("plan") == "pro" for profile in PEOPLE.profiles())
    assert loaded(tmp_path, "pro_users") == wanted > 0


def loaded(folder, table):
    with duckdb.connect(str(folder / "mixpanel.duckdb")) as connection:
        return connection.execute(f"SELECT count(*) FROM people.{table}").fetchall()[0][0]


def asset(examples, folder):
    (code,) = examples["Dagster"]
    assert "delay=600" in code
    return written(code.replace("delay=600", "delay=0"), folder / "assets.py")


def test_a_dagster_asset_goes_on_with_what_its_first_try_fetched(dagster, examples, surroundings, tmp_path):
    with Simulator(PEOPLE, behaviour=SMALL, faults=[later(tries=1)]) as sim:
        told = driven(dagster, "dagster_driver.py", asset(examples, tmp_path), {**surroundings, **sim.environment()})
        assert pages_asked(sim.requests).count(0) == 1
    assert (told["success"], told["retries"]) == (True, 1)
    assert told["told"]["dagster/row_count"] == len(PEOPLE)
    assert told["told"]["pages"] == PAGES
    assert told["told"]["resumed_pages"] > 0
    assert stored(str(tmp_path / "mixpanel.duckdb")) == served(PEOPLE)


def test_a_dagster_asset_that_stays_incomplete_fails_and_keeps_the_old_table(dagster, examples, surroundings, tmp_path):
    old = Population(5, seed=8)
    database = str(tmp_path / "mixpanel.duckdb")
    with Simulator(old) as sim:
        fetch(sim, database)
    with Simulator(PEOPLE, behaviour=SMALL, faults=[later(tries=None)]) as sim:
        told = driven(dagster, "dagster_driver.py", asset(examples, tmp_path), {**surroundings, **sim.environment()})
    assert told == {"success": False, "retries": 5, "told": None}
    assert stored(database) == served(old)


def test_an_airflow_task_goes_on_with_what_its_first_try_fetched(airflow, examples, surroundings, tmp_path):
    (code,) = examples["Airflow"]
    file = written(code, tmp_path / "airflow" / "dags" / "mixpanel.py")
    with Simulator(PEOPLE, behaviour=SMALL, faults=[later(tries=1)]) as sim:
        told = driven(airflow, "airflow_driver.py", file, {**surroundings, **sim.environment()})
        assert pages_asked(sim.requests).count(0) == 1
    assert (told["state"], told["tries"]) == ("success", 2)
    assert (told["told"]["rows"], told["told"]["pages"]) == (len(PEOPLE), PAGES)
    assert stored(str(tmp_path / "mixpanel.duckdb")) == served(PEOPLE)
