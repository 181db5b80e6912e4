"""What a file asks for: jobs, each a fetch that is written down, checked before anything is requested."""

from __future__ import annotations

import inspect
import os
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..accounts import AnyCredentials, Credentials, open_session, resolve_base_url
from ..api import fetch_events, fetch_profiles
from ..arguments import PATH, check, refusal
from ..engage import ProfileFilters, ProfileQuery
from ..errors import ConfigurationError, CredentialsError, MixpanelError, UnsuitableFileError
from ..events import EventFilters, EventQuery
from ..store import folded
from .into import OF_THE_TARGET, target_of

__all__ = ["Job", "read_jobs"]

Kind = Literal["profiles", "events"]
# What only a program can give, and what the whole file has in common.
_NO_KEYS = {"credentials", "client", "on_batch_complete", "observer", "progress"}
_OPTIONS = {
    kind: {
        name
        for name, parameter in inspect.signature(call).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in _NO_KEYS
    }
    for kind, call in (("profiles", fetch_profiles), ("events", fetch_events))
}
_FILTERS = {"profiles": set(ProfileFilters.__annotations__), "events": set(EventFilters.__annotations__)}
_WAYS_TO_SIGN = ({"username_env", "secret_env"}, {"token_env"}, {"account", "target"})
_OF_EVENTS = {"from_date", "to_date", "last_days"}
_SECRETS = ("secret", "token", "password", "passwd", "credential", "api_key", "username")

# A name of a variable and hardly ever a secret: those have small letters, too.
_Variable = Annotated[str, Field(pattern="^[A-Z_][A-Z0-9_]{0,63}$")]


class Job(BaseModel):
    """One fetch of a file; who asks is known from variables of the environment that it names, or an account of the SDK.

    Args:
        kind: What is fetched: ``"profiles"`` or ``"events"``.
        table: Table to publish; default: the name of the kind.
        database: Path of a DuckDB file.
        project_id: Numeric id of the project; default: ``MP_PROJECT_ID``.
        region: ``"us"``, ``"eu"`` or ``"in"``; default: ``MP_REGION``.
        workspace_id: Data View to read through.
        username_env: Variable that holds the service account's user name; default: ``MP_USERNAME``.
        secret_env: Variable that holds its secret; default: ``MP_SECRET``.
        token_env: Variable that holds a token, instead of the other two.
        account: Name of an account that ``mixpanel-headless`` has stored, instead of variables.
        target: Name of a target that it has stored: an account and a project in one.
        from_date: First day of events.
        to_date: Last day of events; default: yesterday, in UTC.
        last_days: So many days up to the last one, instead of a first.
        options: The keywords of ``fetch_profiles`` or ``fetch_events``, filters aside.
        filters: The filters.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True
    )

    kind: Kind = "profiles"
    table: str = ""
    database: str = "mixpanel.duckdb"
    project_id: str = Field("", pattern="^[0-9]*$")
    region: Literal["us", "eu", "in"] | None = None
    workspace_id: str | None = None
    username_env: _Variable | None = None
    secret_env: _Variable | None = None
    token_env: _Variable | None = None
    account: str | None = None
    target: str | None = None
    from_date: date | None = None
    to_date: date | None = None
    last_days: Annotated[int, Field(strict=True, ge=1)] | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    filters: dict[str, Any] = Field(default_factory=dict)

    @property
    def project(self) -> str:
        """The project that is read, as far as it is known before anybody asks."""
        return self.project_id or os.environ.get("MP_PROJECT_ID", "").strip()

    def __str__(self) -> str:
        return f"project {self.project or '?'}, table {self.table!r}"

    def days(self) -> tuple[date, date]:
        """Give the first and the last day of events as of now."""
        last = self.to_date or datetime.now(UTC).date() - timedelta(days=1)
        return self.from_date or last - timedelta(days=(self.last_days or 1) - 1), last

    def credentials(self) -> AnyCredentials:
        """Read the variables, or look the account up.

        Raises:
            CredentialsError: Names those that are missing or contradictory.
            ConfigurationError: The SDK is not installed, or knows no such name.
        """
        if self.account or self.target:
            session: AnyCredentials = open_session(
                account=self.account, project=self.project_id or None, target=self.target
            )
            return session
        env, home = dict(os.environ), os.environ.get("MP_PROJECT_ID", "").strip()
        named = {"MP_USERNAME": "username_env", "MP_SECRET": "secret_env", "MP_OAUTH_TOKEN": "token_env"}
        given = {variable: key for variable, key in named.items() if getattr(self, key)}
        if given:
            for variable in ("MP_USERNAME", "MP_SECRET") if self.token_env else ("MP_OAUTH_TOKEN",):
                env.pop(variable, None)
        for variable, key in given.items():
            env[variable] = os.environ.get(getattr(self, key), "")
            if not env[variable].strip():
                raise CredentialsError(f"{getattr(self, key)} ({key}) is not set in the environment.")
        if self.project_id not in ("", home):
            env.pop("MP_WORKSPACE_ID", None)  # a Data View of the other project
        own = {"MP_PROJECT_ID": self.project_id, "MP_REGION": self.region, "MP_WORKSPACE_ID": self.workspace_id}
        return Credentials.from_env({**env, **{name: value for name, value in own.items() if value}})


def read_jobs(source: str | os.PathLike[str] | Mapping[str, Any], given: Mapping[str, Any] | None = None) -> list[Job]:
    """Read the jobs of a TOML file, or of a mapping with the same content, and check all of them.

    Args:
        source: The file, or the mapping.
        given: Keys that go before those of ``[defaults]``.

    Raises:
        UnsuitableFileError: The file cannot be read.
        ConfigurationError: It is no TOML, or asks for what cannot be done; says which job and which key.
        QueryError: It is no path.

    Example:
        >>> jobs = read_jobs({"defaults": {"database": "a.duckdb"}, "profiles": [{"project_id": 12, "limit": 5}]})
        >>> str(jobs[0]), jobs[0].filters
        ("project 12, table 'profiles'", {'limit': 5})
    """
    name, content = ("The mapping", source) if isinstance(source, Mapping) else _content(source)
    jobs_are = "[[profiles]] or [[events]] for each job"
    if unknown := sorted(map(str, content.keys() - {"defaults", *_OPTIONS})):
        raise ConfigurationError(f"{name} has {unknown[0]!r}; it may have [defaults] and {jobs_are}.")
    defaults, written = content.get("defaults", {}), {kind: content.get(kind, []) for kind in _OPTIONS}
    if not (isinstance(defaults, Mapping) and all(map(_are_tables, written.values()))):
        raise ConfigurationError(f"{name} must have one [defaults] at most and one {jobs_are}.")
    if not any(written.values()):
        raise ConfigurationError(f"{name} has no job; write one {jobs_are}.")
    jobs: list[Job] = []
    for kind, own in ((each, own) for each, owns in written.items() for own in owns):
        try:
            jobs.append(_job(cast("Kind", kind), _with_defaults(kind, {**defaults, **(given or {})}, own)))
        except MixpanelError as error:
            raise ConfigurationError(f"{name}, job {len(jobs) + 1}: {error}") from None
    _refuse_twins(name, jobs)
    return jobs


def _content(source: str | os.PathLike[str]) -> tuple[str, Mapping[str, Any]]:
    if not PATH.fits(source):
        raise refusal("jobs", source, "the path of a TOML file, or its content as a mapping")
    name = f"The file {os.fspath(source)!r}"
    try:
        return name, tomllib.loads(Path(source).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UnsuitableFileError(f"{name} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{name} is no TOML: {str(error).rstrip('.')}.") from None


def _are_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, Mapping) for each in value)


def _keys(kind: str) -> set[str]:
    own = Job.model_fields.keys() - {"kind", "options", "filters", *(() if kind == "events" else _OF_EVENTS)}
    place = OF_THE_TARGET.keys() - (set() if kind == "profiles" else {"union_view"})
    return own | _OPTIONS[kind] | _FILTERS[kind] | place


def _with_defaults(kind: str, defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A job's own keys win, and its own kind of credentials goes before the others; other kinds' keys are not its."""
    hidden = set[str]().union(*map(_keys, _OPTIONS)) - _keys(kind)
    for one in _WAYS_TO_SIGN:
        if own.keys() & one:
            hidden |= set[str]().union(*_WAYS_TO_SIGN) - one
    if own.keys() & {"account", "target"}:
        hidden |= {"region", "workspace_id"} | ({"account", "project_id"} if "target" in own else {"target"})
    return {**{key: value for key, value in defaults.items() if key not in hidden}, **own}


def _job(kind: Kind, keys: Mapping[str, Any]) -> Job:
    known = _keys(kind)
    for key in keys:
        if key not in known:
            raise ConfigurationError(_unknown(str(key), kind, known))
    options, filters = ({key: keys[key] for key in keys if key in each[kind]} for each in (_OPTIONS, _FILTERS))
    options |= target_of(keys)
    check({"table": keys.get("table", ""), **options}, but={"into"})
    own = {key: keys[key] for key in keys if key in Job.model_fields}
    try:
        job = Job(**{"table": kind, **own}, kind=kind, options=options, filters=filters)
    except ValidationError as error:
        raise ConfigurationError(f"{_sentence(error)}.") from None
    if job.database == ":memory:" or not PATH.fits(job.database) or not job.database:
        raise ConfigurationError("database must be the path of a file.")
    _check_who(job)
    resolve_base_url(options.get("base_url"), job.region or "us", allow_http=options.get("allow_http", False))
    if kind == "profiles":
        return job.model_copy(update={"filters": ProfileQuery(**cast("ProfileFilters", filters)).given()})
    if (job.from_date is None) == (job.last_days is None):
        raise ConfigurationError("events need from_date, the first day, or last_days, how many up to the last one.")
    try:
        days = job.days()
    except OverflowError:
        raise ConfigurationError(f"last_days is {job.last_days}, which goes back to before the calendar.") from None
    EventQuery.of(*days, **cast("EventFilters", filters))
    return job


def _check_who(job: Job) -> None:
    if job.token_env and (job.username_env or job.secret_env):
        raise ConfigurationError("token_env excludes username_env and secret_env.")
    variables = job.token_env or job.username_env or job.secret_env or job.region or job.workspace_id
    if (job.account or job.target) and variables:
        raise ConfigurationError(
            "account and target exclude username_env, secret_env, token_env, region and workspace_id."
        )
    if job.target and (job.account or job.project_id):
        raise ConfigurationError("target stands for an account and a project; it excludes account and project_id.")


def _unknown(key: str, kind: str, known: Iterable[str]) -> str:
    if any(word in key.lower() for word in _SECRETS):
        return (
            f"{key!r} does not belong into the file: name the variables of the environment that hold the credentials, "
            "with username_env and secret_env, or token_env; or an account of mixpanel-headless."
        )
    near = get_close_matches(key, known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else f", which are the keywords of fetch_{kind} and of Job."
    return f"{key!r} is none of the keys of a job{meant}"


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = ".".join(map(str, first["loc"]))
    if name.endswith("_env"):
        return f"{name} must be the name of a variable of the environment, in capital letters"
    if name == "project_id":
        return "project_id must be the numeric id of a project"
    return f"{name}: {first['msg']}"


def _refuse_twins(name: str, jobs: Iterable[Job]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for number, job in enumerate(jobs, 1):
        places = {os.path.realpath(os.path.expanduser(job.database)): job.database}
        if (into := job.options.get("into")) is not None:
            places[into.identity] = into.name
        for place, said in places.items():
            if (other := seen.setdefault((place, folded(job.table)), number)) != number:
                raise ConfigurationError(
                    f"{name}: jobs {other} and {number} both write table {job.table!r} of {said!r}; give each a table "
                    "of its own."
                )
