"""Profiles from different clients in one form, equal only when every value is."""

import json
from typing import Any

import duckdb

import mixpanel_duckdb as md
from mixpanel_duckdb.simulator import Simulator


def raw(profiles: Any) -> dict[str, str]:
    """JSON text of the properties by id: tells 1 from 1.0 and true, and keeps the order of names."""
    return {str(profile["$distinct_id"]): json.dumps(profile.get("$properties", {})) for profile in profiles}


def promoted(profiles: Any) -> dict[str, str]:
    """The same for headless' own form, which takes ``$last_seen`` out of the properties."""
    return {str(p["distinct_id"]): json.dumps([p["last_seen"], p["properties"]]) for p in profiles}


def promote(profiles: Any) -> dict[str, str]:
    """What ``promoted`` should give for profiles as the server sent them."""
    told = {}
    for profile in profiles:
        properties = dict(profile.get("$properties", {}))
        told[str(profile["$distinct_id"])] = json.dumps([properties.pop("$last_seen", None), properties])
    return told


def fetched(sim: Simulator, **filters: Any) -> list[dict[str, Any]]:
    """The same profiles by way of this package: fetched into DuckDB and read back."""
    credentials = md.Credentials.from_env(sim.environment())
    with duckdb.connect() as database:
        result = md.fetch_profiles(database, credentials=credentials, base_url=sim.base_url, **filters)
        assert result.is_complete
        rows = database.execute("SELECT distinct_id, properties FROM profiles").fetchall()
    return [{"$distinct_id": name, "$properties": json.loads(text)} for name, text in rows]
