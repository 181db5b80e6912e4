"""Which kind each argument of a public call is: a name means the same in every call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from ..errors import ConfigurationError
from .kinds import FLAG, FUNCTION, MOMENT, NAME, PATH, Kind, one_of, refusal, seconds, whole, with_methods
from .tolerance import TOLERANCE

__all__ = ["REFRESH_DAYS", "RESUME_MAX_AGE", "RULES", "check"]

# How old a day must have been when its events were fetched, unless a caller says so: phones send them five days late.
REFRESH_DAYS: Final = 5

# Seconds since its last committed page after which a session is not trusted any more, unless the caller says so.
RESUME_MAX_AGE: Final = 21_600.0
_DAY = 86_400.0
_POSITIVE = seconds(above=0, what="a number")

_OF_A_CALL = {
    "table": NAME,
    "into": NAME.or_none(),
    "fetch_id": NAME.or_none(),
    "file": PATH,
    "path": PATH,
    "partition_by": Kind(
        "a list of names of columns",
        lambda value: isinstance(value, list | tuple) and bool(value) and all(map(NAME.fits, value)),
    ).or_none(),
    "setup": PATH.or_none(),
    "format": one_of("parquet", "csv", "ndjson").or_none(),
    "if_exists": one_of("error", "replace", "merge"),
    "allow_other": FLAG,
    "allow_shrink": FLAG,
    "tolerance": TOLERANCE,
    "keep_history": FLAG,
    "since": MOMENT.or_none(),
    "parallel": FLAG,
    "resume": FLAG,
    "replace": FLAG,
    "read_only": FLAG,
    "materialize": FLAG,
    "keep_properties": FLAG,
    "event": NAME.or_none(),
    "mostly": seconds(most=1, what="a number").or_none(),
    "min_coverage": seconds(most=1, what="a number"),
    "refetch": FLAG,
    "days_per_request": whole(1).or_none(),
    "refresh_days": whole(0),
    "resume_max_age": seconds().or_none(),
    "older_than": seconds().or_none(),
    "max_age": seconds().or_none(),
    "complete": FLAG,
    "rate_limit_wait": seconds().or_none(),
    "max_workers": whole(1, 5).or_none(),
    "on_batch_complete": FUNCTION.or_none(),
    "observer": with_methods(
        "an object with the methods of FetchObserver", "planned", "page_done", "waiting", "notice", "ticked"
    ).or_none(),
    "progress": Kind("'auto', True or False", lambda value: FLAG.fits(value) or one_of("auto").fits(value)).or_none(),
    "stop": with_methods("a threading.Event", "is_set").or_none(),
    "client": with_methods("a MixpanelClient, or an object with a method query_engage_page", "query_engage_page"),
    "store": with_methods("a ProfileStore", "begin", "publish", "leave"),
    "page": whole(0),
    "session_id": NAME.or_none(),
}
_OF_A_CLIENT = {
    "base_url": NAME.or_none(),
    "allow_http": FLAG,
    "timeout": Kind(
        "a number of seconds, more than 0, or an httpx.Timeout",
        lambda value: _POSITIVE.fits(value) or with_methods("", "as_dict").fits(value),
    ).or_none(),
    "retry": with_methods("a RetryPolicy", "delay").or_none(),
    "http_client": with_methods("an httpx.Client", "stream", "__enter__").or_none(),
    "max_body_bytes": whole(1),
    "answer_timeout": seconds(above=0),
    "attempts": whole(1),
    "first_delay": seconds(most=_DAY),
    "longest_delay": seconds(most=_DAY),
    "jitter": seconds(most=1, what="a number"),
    "draw": FUNCTION,
    "max_in_flight": whole(1, 5),
    "clock": FUNCTION,
}
_CLIENTS_OWN = "credentials", "base_url"
RULES: Final[Mapping[str, Kind]] = _OF_A_CALL | {
    name: kind.raising(ConfigurationError) for name, kind in _OF_A_CLIENT.items()
}


def check(arguments: Mapping[str, object], *, but: Collection[str] = (), optional: Collection[str] = ()) -> None:
    """Refuse the first argument that is not what its name says it must be.

    Args:
        arguments: Values by name: ``locals()``, as the first statement of a call.
        but: Names of those that are checked elsewhere.
        optional: Names of those that this call can do without, though others cannot.

    Raises:
        QueryError: Names the argument, what was given and what it must be.
        ConfigurationError: The same, for one that says how the server is asked; or for one beside a client that has its
            own.

    Example:
        >>> check({"table": "profiles", "resume": True})
        >>> check({"resume": "yes"})
        Traceback (most recent call last):
        mixpanel_duckdb.errors.QueryError: resume is 'yes'; it must be True or False.
    """
    for name, value in arguments.items():
        if name in but:
            continue
        kind = RULES[name].or_none() if name in optional else RULES[name]
        if not (value is None and kind.optional) and not kind.fits(value):
            raise refusal(name, value, f"{kind.must}, or None" if kind.optional else kind.must, kind.error)
    for name in _CLIENTS_OWN:
        if arguments.get("client") is not None and arguments.get(name) is not None:
            raise ConfigurationError(f"Give client or {name}, not both: a client has its own.")
