"""``kill -9`` before each statement of a publish: nobody sees half a table; the next call needs no request.

``MP_TEST_STEPS=1`` kills before each statement; by default before each third, another third on each kind.
"""

import os
import signal

import pytest

import mixpanel_duckdb as md
from helpers import fetch
from mixpanel_duckdb.simulator import Population, Simulator
from store.targets.test_duckdb_file import expected_counts
from targets.engines import KINDS, counts, published
from targets.stepping import at_step, die_at, ended_by

BEFORE, AFTER = Population(120, seed=1), Population(110, seed=2)
EACH = int(os.environ.get("MP_TEST_STEPS", "6"))


def publish_and_die(step: int, database: str, target: md.Target, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    at_step(pytest.MonkeyPatch(), die_at(step))
    md.fetch_profiles(database, into=target, if_exists="replace", allow_other=True, page_size=20, progress=None)


def test_a_publish_that_is_killed_anywhere_is_made_up_for_without_a_request(engine, work):
    published(BEFORE, work, engine.target)
    step, killed, is_new = 1 + list(KINDS).index(engine.kind) % EACH, 0, False
    old, new = engine.holding(BEFORE), engine.holding(AFTER)
    with Simulator(AFTER) as sim:
        environment = sim.environment()
        while code := ended_by(publish_and_die, step, work, engine.target, environment):
            assert code == -signal.SIGKILL
            asked = len(sim.requests)
            rows = engine.rows()
            assert rows == new or (rows == old and not is_new)
            is_new = rows == new
            step, killed = step + EACH, killed + 1
        assert len(sim.requests) == asked
        assert engine.rows() == engine.holding(AFTER)
        assert killed >= 12 // EACH
        again = fetch(sim, work, into=engine.target, if_exists="replace")
    assert counts(again) == (0, 0, 0, 110)
    assert expected_counts(BEFORE, AFTER) != counts(again)
