"""Two writers of one table: one after the other, whoever comes first; never both of one, and never a row twice."""

import threading

import pytest

import mixpanel_duckdb as md
from helpers import fetch, wait_until
from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.store.targets import attached
from targets.engines import SHARED, Engine, counts, published
from targets.stepping import at_step, ended_by

FIRST, OTHER, MORE = (Population(80 + 10 * seed, seed=seed) for seed in (1, 2, 3))


@pytest.fixture(params=SHARED)
def shared(request, tmp_path):
    return Engine.made(request.param, tmp_path, request.getfixturevalue("postgres"))


def publish(population: Population, work: str, target: md.Target) -> None:
    published(population, work, target)


class Other(threading.Thread):
    """A second writer: a process of its own, waited for here."""

    def __init__(self, work: str, target: md.Target, population: Population = OTHER) -> None:
        super().__init__()
        self._arguments = population, work, target
        self.code: int | None = None

    def run(self) -> None:
        self.code = ended_by(publish, *self._arguments)


def is_waited_for(engine: Engine) -> bool:
    """Whether somebody waits for a lock on the server."""
    return engine.server.sql("postgres", "SELECT count(*) FROM pg_locks WHERE NOT granted") != ["0"]


@pytest.mark.parametrize("there", [True, False], ids=["into a table", "as its first rows"])
def test_one_that_commits_while_another_publishes_is_waited_for_or_makes_it_try_again(
    shared, work, tmp_path, monkeypatch, there
):
    if there:
        published(FIRST, work, shared.target)
    other, commits = Other(str(tmp_path / "other.duckdb"), shared.target), []

    def before(_, statement):
        if statement != "COMMIT":
            return
        commits.append(statement)
        if len(commits) > 1:
            return
        other.start()
        wait_until(lambda: not other.is_alive() or (shared.kind == "postgres" and is_waited_for(shared)))

    with monkeypatch.context() as patched:
        at_step(patched, before)
        result = published(MORE, work, shared.target)
    other.join()
    assert other.code == 0
    assert result.is_complete, result.summary()
    last = shared.rows()
    assert last in (shared.holding(MORE), shared.holding(OTHER))
    assert sum(last.values()) == len(last)
    if shared.kind == "postgres":  # the other one has waited, and came last
        assert (len(commits), last) == (1, shared.holding(OTHER))
    else:  # ours was refused, and came again
        assert (len(commits) > 1, last) == (True, shared.holding(MORE))
        assert sum(counts(result)[:2]) > 0


def test_two_that_bring_the_same_new_profiles_bring_each_of_them_once(shared, work, tmp_path, monkeypatch):
    rows = Population(60, seed=4).rows
    some, everybody = Population.raw(rows[:50]), Population.raw(rows)
    published(some, work, shared.target)
    other, commits = Other(str(tmp_path / "other.duckdb"), shared.target, everybody), []

    def before(_, statement):
        if statement == "COMMIT" and not commits:
            commits.append(statement)
            other.start()
            wait_until(lambda: not other.is_alive() or (shared.kind == "postgres" and is_waited_for(shared)))

    with monkeypatch.context() as patched:
        at_step(patched, before)
        assert published(everybody, work, shared.target).is_complete
    other.join()
    assert other.code == 0
    assert shared.rows() == shared.holding(everybody)


def test_a_table_that_others_keep_writing_is_left_for_the_next_run(tmp_path, postgres, work, monkeypatch):
    base = Engine.made("postgres", tmp_path, postgres)
    published(FIRST, work, base.target)
    target = md.Target(base.target.attach, setup=base.target.setup, lock_wait=0.1)
    monkeypatch.setattr(attached, "_TRIES", 1)
    holder = base.connect()
    holder.execute("BEGIN; CALL postgres_execute('there', 'LOCK TABLE profiles IN SHARE ROW EXCLUSIVE MODE')")
    with Simulator(MORE) as sim:
        left = fetch(sim, work, into=target, if_exists="replace", allow_other=True)
        assert not left.published
        assert "lock" in left.target_refusal
        holder.execute("ROLLBACK")
        holder.close()
        asked = len(sim.requests)
        assert fetch(sim, work, into=target, if_exists="replace", allow_other=True).is_complete
        assert len(sim.requests) == asked
    assert base.rows() == base.holding(MORE)
