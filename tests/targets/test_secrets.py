"""A password of a target is in no output, error, journal, log or byte of the local file, however it is given."""

import os
import subprocess
import sys
import traceback

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import fetch
from mixpanel_duckdb.simulator import Population, Simulator
from targets.engines import SHARED, Engine, setup_text
from targets.postgres import LOADER, PASSWORD

PEOPLE = Population(60, seed=1)
WRONG = "not-the-password-7"
WAYS = ("secret", "variable", "file of passwords")


def place(engine, database):
    return engine.server.place(database, LOADER)


@pytest.fixture(params=SHARED)
def shared(request, tmp_path):
    return Engine.made(request.param, tmp_path, request.getfixturevalue("postgres"))


def told(way, shared, password, folder, monkeypatch):
    """The target as a user gives it, and the password by one of the ways that there are."""
    setup = folder / "with-secrets.sql"
    text, attach = setup_text(("ducklake", "postgres_scanner")), place(shared, shared.database)
    if way == "variable":
        monkeypatch.setenv("PGPASSWORD", password)
    elif way == "file of passwords":
        passwords = folder / "pgpass"
        passwords.write_text(f"*:*:*:*:{password}\n")
        passwords.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(passwords))
    else:
        text += f"CREATE SECRET (TYPE postgres, PASSWORD '{password}');"
    setup.write_text(text)
    scheme = "ducklake:postgres:" if shared.files else "postgres:"
    return md.Target(f"{scheme}{attach}", setup=setup, data_path=shared.target.data_path)


def texts_of(error):
    """All that a traceback shows, and what hangs on the errors in it."""
    seen = "".join(traceback.format_exception(error))
    while error is not None:
        seen += f"{error} {error!r} {error.args!r} {vars(error)!r}"
        error = error.__cause__ or error.__context__
    return seen


def assert_nowhere(password, folder, *texts):
    for text in texts:
        assert password not in text
    for file in folder.rglob("*"):
        if file.is_file() and file.name not in ("with-secrets.sql", "pgpass"):
            assert password.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("way", WAYS)
def test_a_password_is_nowhere_when_all_goes_well(shared, way, tmp_path, work, monkeypatch, caplog, capsys):
    caplog.set_level("DEBUG")
    target = told(way, shared, PASSWORD, tmp_path, monkeypatch)
    with Simulator(PEOPLE) as sim:
        result = fetch(sim, work, into=target)
        assert len(result.relation().fetchall()) == 60
        environment = {**os.environ, **sim.environment()}
        again = [sys.executable, "-m", "mixpanel_duckdb", "profiles", "-d", work, "--replace", "--json", "-v"]
        again += ["--into", target.name, "--setup", str(target.setup)]
        done = subprocess.run(again, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    out = capsys.readouterr()
    told_of = (repr(target), repr(result), result.summary(), result._repr_html_(), str(result.to_dict()))
    assert_nowhere(PASSWORD, tmp_path, *told_of, caplog.text, out.out, out.err, done.stdout, done.stderr)


@pytest.mark.parametrize("way", WAYS)
def test_a_password_that_is_refused_is_in_no_error(shared, way, tmp_path, work, monkeypatch, caplog):
    caplog.set_level("DEBUG")
    target = told(way, shared, WRONG, tmp_path, monkeypatch)
    with Simulator(PEOPLE) as sim:
        with pytest.raises(md.StorageError, match="password authentication failed") as caught:
            fetch(sim, work, into=target)
        assert sim.requests == []
    assert_nowhere(WRONG, tmp_path, texts_of(caught.value), caplog.text)


def test_a_secret_is_gone_from_the_callers_connection_when_a_fetch_ends(shared, tmp_path, monkeypatch):
    with duckdb.connect() as connection, Simulator(PEOPLE) as sim:
        fetch(sim, connection, into=told("secret", shared, PASSWORD, tmp_path, monkeypatch))
        assert connection.execute("FROM duckdb_secrets()").fetchall() == []
        assert len(connection.execute("FROM duckdb_databases()").fetchall()) == 3
