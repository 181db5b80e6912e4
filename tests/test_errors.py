"""Errors as values: they survive every way from one process to another."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from mixpanel_duckdb import errors

KINDS = [getattr(errors, name) for name in errors.__all__]
WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


def made(kind: type[errors.MixpanelError]) -> errors.MixpanelError:
    if kind is errors.TableExistsError:
        return kind("people")
    where: dict[str, Any] = {"status": 429, "server_text": "slow down \x1b", "page": 7}
    if issubclass(kind, errors.EngageError):
        where["retry_after"] = 1.5
    if issubclass(kind, errors.RateLimitError):
        where |= {"kind": "quota", "gave_up": True}
    return kind("a sentence \x1b", **where)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_arrives_as_it_left(kind: type[errors.MixpanelError], way: str) -> None:
    error = made(kind)
    error.add_note("seen by a test")
    again = WAYS[way](WAYS[way](error))
    assert type(again) is kind
    assert (str(again), again.args, repr(again)) == (str(error), error.args, repr(error))
    assert (vars(again), again.to_dict(), again.exit_code) == (vars(error), error.to_dict(), error.exit_code)


def test_an_error_of_another_process_is_told_once() -> None:
    code = "import pickle, sys, mixpanel_duckdb as md; print(pickle.dumps(md.TableExistsError('people')).hex())"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    error = pickle.loads(bytes.fromhex(told))
    assert str(error) == str(errors.TableExistsError("people"))
    assert error.table == "people"
