"""Clients that others wrote, each installed once into an environment of its own."""

import pytest

from clients.environments import UnavailableError, python_with
from clients.peer import Peer


@pytest.fixture(scope="session")
def headless(tmp_path_factory):
    return _peer("mixpanel-headless>=0.4,<0.6", "headless_driver.py", tmp_path_factory)


@pytest.fixture(scope="session")
def utils(tmp_path_factory):
    return _peer("mixpanel-utils>=2.2,<3", "utils_driver.py", tmp_path_factory)


def _peer(requirement, driver, tmp_path_factory):
    try:
        python = python_with(requirement)
    except UnavailableError as reason:
        pytest.skip(f"{requirement} cannot be installed: {reason}")
    return Peer(python, driver, tmp_path_factory.mktemp("home"))
