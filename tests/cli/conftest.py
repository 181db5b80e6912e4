import pytest

from cli.command import MpFetch
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator

PEOPLE = 1030


@pytest.fixture
def simulator():
    """Eleven pages of a hundred profiles."""
    with Simulator(Population(PEOPLE, seed=3), behaviour=Behaviour(page_size=100)) as running:
        yield running


@pytest.fixture
def mp_fetch(simulator, tmp_path):
    return MpFetch(tmp_path, simulator.environment())
