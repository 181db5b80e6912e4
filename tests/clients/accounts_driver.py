"""Runs where mixpanel-headless and this package are: a job as JSON on standard input, what came of it on output."""

import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import mixpanel_headless as mp
from mixpanel_headless._internal.auth.client_registration import OAUTH_BASE_URLS

import mixpanel_duckdb as md

# Where tokens are refreshed is a constant of the SDK.
OAUTH_BASE_URLS["us"] = os.environ.get("TOKEN_SERVER", OAUTH_BASE_URLS["us"])


def store(accounts, targets):
    """Store accounts and targets by the SDK's own functions."""
    for account in accounts:
        mp.accounts.add(**account)
    for target in targets:
        mp.targets.add(**target)


def fetch(names, table="profiles", as_session=False):
    """Fetch all profiles, then plan another fetch."""
    with mp.Workspace(**names) as workspace:
        who = workspace.session if as_session else workspace
        result = md.fetch_profiles("accounts.duckdb", table, credentials=who)
        estimate = md.plan_fetch(credentials=who)
    return {
        "rows": result.total_rows,
        "expected": estimate.expected_rows,
        "requests": result.requests,
        "cli": "mixpanel_headless.cli" in sys.modules,
        "signals": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "shown": repr([workspace, result]),
    }


def describe(names):
    """What a client makes of a workspace."""
    with mp.Workspace(**names) as workspace, md.MixpanelClient(workspace) as client:
        return {"base_url": client.base_url, "scope": client.credentials.scope(), "shown": repr(client)}


def ask_at_once(names, threads):
    """Read page 0 in several threads that start together."""
    barrier = threading.Barrier(threads)
    retry = md.RetryPolicy(first_delay=0.01)
    with mp.Workspace(**names) as workspace, md.MixpanelClient(workspace, retry=retry) as client:

        def ask(_):
            barrier.wait()
            return client.query_engage_page(0)["total"]

        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(ask, range(threads)))


def made(value):
    """A filter or a cohort: `{"Filter.equals": ["plan", "pro"]}`."""
    if isinstance(value, list):
        return [made(each) for each in value]
    if not isinstance(value, dict):
        return value
    ((name, arguments),) = value.items()
    kind, method = name.split(".")
    return getattr(getattr(mp, kind), method)(*[made(each) for each in arguments])


def filters(names, calls):
    """For each call of `build_user_params`: its keys, our query, and what both of us read with it."""
    told = []
    with mp.Workspace(**names) as workspace:
        for call in calls:
            arguments = {name: made(value) for name, value in call.items()}
            params = workspace.build_user_params(mode="profiles", **arguments)
            theirs = workspace.query_user(mode="profiles", limit=None, **arguments).profiles
            result = md.fetch_profiles(":memory:", credentials=workspace, **params)
            told.append(
                {
                    "keys": sorted(params),
                    "wire": md.ProfileQuery(**params).params(),
                    "theirs": sorted(str(profile["distinct_id"]) for profile in theirs),
                    "ours": sorted(name for (name,) in result.relation().project("distinct_id").fetchall()),
                }
            )
    return told


def count(names):
    """A count is no fetch."""
    with mp.Workspace(**names) as workspace:
        return md.fetch_profiles(":memory:", credentials=workspace, **workspace.build_user_params())


def script(blocks):
    """Run a page's blocks one after the other and tell what they leave behind."""
    left = {}
    for block in blocks:
        exec(compile(block, "block", "exec"), left)
    people = left["people"]
    return {
        "is": f"{type(people).__module__}.{type(people).__name__}",
        "rows": people.height,
        "schema": {name: str(kind) for name, kind in people.schema.items()},
        "people": people.select("distinct_id", "plan", "mrr").rows(),
        "result": left["result"].total_rows,
    }


job = json.load(sys.stdin)
try:
    outcome = globals()[job.pop("do")](**job)
except md.MixpanelError as error:
    outcome = {"error": type(error).__name__, "text": str(error), "exit_code": error.exit_code}
json.dump(outcome, sys.stdout)
