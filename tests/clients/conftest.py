"""Clients that others wrote, each installed once into an environment of its own."""

import pytest

from clients.accounts import ACCOUNTS, TARGETS, Accounts
from clients.environments import UnavailableError, python_with
from clients.peer import Peer

# With what this package needs beside it, so that the SDK is installed once for all that use it.
_HEADLESS = ("mixpanel-headless>=0.4,<0.6", "click>=8.1,<9", "duckdb>=1.5,<3", "polars>=1")


@pytest.fixture(scope="session")
def headless(tmp_path_factory):
    return _peer(_HEADLESS, "headless_driver.py", "mixpanel_headless", tmp_path_factory)


@pytest.fixture(scope="session")
def utils(tmp_path_factory):
    return _peer(["mixpanel-utils>=2.2,<3"], "utils_driver.py", "mixpanel_utils", tmp_path_factory)


@pytest.fixture(scope="session")
def stored_accounts(tmp_path_factory):
    """The SDK and what this package needs, in one environment, with accounts of every kind."""
    accounts = Accounts(_python(*_HEADLESS), tmp_path_factory.mktemp("home"))
    accounts.job("store", accounts=ACCOUNTS, targets=TARGETS)
    return accounts


def _peer(requirements, driver, client, tmp_path_factory):
    return Peer(_python(*requirements), driver, client, tmp_path_factory.mktemp("home"))


def _python(*requirements):
    try:
        return python_with(*requirements)
    except UnavailableError as reason:
        pytest.skip(f"{requirements[0]} cannot be installed: {reason}")
