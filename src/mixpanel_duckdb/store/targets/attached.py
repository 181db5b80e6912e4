"""A target attached for a short moment, and nothing left of it afterwards: where it is published into, or looked at.

Errors of this moment may repeat what a setup file says. Its secrets are hidden before its first statement, whether they
stand there or come from the environment. One thread of a process at a time does this: what it makes is the instance's.
"""

from __future__ import annotations

import os
import random
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from ...errors import ConfigurationError, StorageError, UnsuitableTableError
from ...process import ProcessLock
from ...text import Secrets
from ..database import only_row, quote, storage_errors
from .common import ALIAS, Attached
from .duckdb_file import DuckDBFile
from .ducklake import DuckLake
from .kind import Kind, Place
from .postgres import Postgres
from .target import SCHEME, Target

__all__ = ["Attachment", "again_and_again", "attached", "in_our_words", "kind_of", "prepared", "reaching", "set_up"]

_Outcome = TypeVar("_Outcome")

_KINDS: dict[str, type[Kind]] = {"ducklake": DuckLake, "postgres": Postgres, "postgresql": Postgres}
# Secrets of a setup file: quoted by SQL; in a connection string, quoted, whole, or up to what may end it; in a URL.
_NAMED = r"(?i)(?:password|passwd|pwd|token|secret|access_key|key_id)\s*=\s*"
_SECRETS = (
    r"(?i)(?:password|passwd|secret|token|key|key_id|credentials?|connection_string)['\"]?\s*[=:,]?\s*'((?:[^']|'')*)'",
    rf"{_NAMED}''(.+?)''",
    rf"{_NAMED}([^\s']+)",
    rf"{_NAMED}([^\s'\";,&)]+)",
    r"(?i)[a-z][a-z0-9+.-]*://[^/@\s:']*:([^@\s']+)@",
)
# In DuckDB's own words, not in a path, which it puts in quotes.
_OF_AN_EXTENSION = re.compile(r"(?i)(?<![\w/\\.-])extension(?![\w/\\-])|\.duckdb_extension\b")
_QUOTED = re.compile(r'"[^"]*"')
_WITHOUT_EXTENSION = (duckdb.IOException, duckdb.HTTPException, duckdb.InvalidInputException, duckdb.CatalogException)
# Transactions that are begun before a publish that others keep conflicting with is left to the next run.
_TRIES = 8
_hidden = Secrets()
_TURNS = ProcessLock()
_File = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A target that is attached.

    Args:
        cursor: Where it is: another one than that of the staging table if the caller has given a connection.
        kind: Its kind.
        catalog: Its name there.
        notice: What is to be said.
    """

    cursor: duckdb.DuckDBPyConnection
    kind: Kind
    catalog: str
    notice: str | None = None

    def place(self, target: Target, table: str) -> Place:
        """Say where a table is or will be."""
        return Place(self.catalog, target.schema or self.kind.schema, table)


def kind_of(target: Target) -> Kind:
    """Tell the kind of a target by its beginning, or by what DuckDB says of a catalog that is attached.

    Raises:
        ConfigurationError: It is none that can be published into.
    """
    if target.connection is not None:
        return _kind_of_catalog(target.connection, target.name)
    found = SCHEME.match(target.name)
    if found is None:
        return DuckDBFile()
    if (kind := _KINDS.get(found[1].lower())) is None:
        raise ConfigurationError(
            f"{target.name!r} is no target: give the path of a DuckDB file, 'ducklake:...' or 'postgres:...'. What "
            "else DuckDB attaches goes by a connection of yours: mixpanel_duckdb.Target(connection=..., catalog=...)."
        )
    return kind()


def _kind_of_catalog(connection: duckdb.DuckDBPyConnection, catalog: str) -> Kind:
    with connection.cursor() as cursor:
        row = only_row(cursor, "SELECT type FROM duckdb_databases() WHERE database_name = ?", [catalog])
    if row is None:
        raise ConfigurationError(f"No database {catalog!r} is attached to the connection of the target.")
    return _KINDS.get(row[0], Attached)()


@contextmanager
def attached(cursor: duckdb.DuckDBPyConnection, target: Target, *, writing: bool) -> Iterator[Attachment]:
    """Attach a target, or find it where the caller has it.

    Args:
        cursor: To the database of the staging table.
        target: The target.
        writing: Whether it is to be written, or only looked at, as it is.
    """
    kind = kind_of(target)
    if target.connection is not None:
        with target.connection.cursor() as own:
            yield Attachment(own, kind, target.name)
        return
    alias = f"{ALIAS}{uuid.uuid4().hex[:8]}"
    with (
        prepared(cursor, target.setup, target.name, kind.extensions),
        kind.attached(cursor, target, alias, writing=writing) as said,
    ):
        row = only_row(cursor, "SELECT type FROM duckdb_databases() WHERE database_name = ?", [alias])
        if row is None or row[0] != kind.type:
            found = row[0] if row else "nothing"
            raise UnsuitableTableError(f"The target is a {found!r} to DuckDB, not {kind.type!r}.")
        yield Attachment(cursor, kind, alias, said)


def again_and_again(site: Attachment, work: Callable[[], _Outcome]) -> _Outcome:
    """Do it, and again when others were first, but not for ever."""
    for left in reversed(range(_TRIES)):
        try:
            return work()
        except duckdb.Error as error:
            if not left or not site.kind.is_conflict(error):
                raise
            threading.Event().wait(random.uniform(0.1, 1.0))  # noqa: S311 - so that two do not meet again
    raise AssertionError("unreachable")


def in_our_words(doing: str, work: Callable[[], _Outcome]) -> _Outcome:
    """Do something with a target; if DuckDB refuses it, raise that in our words, and without DuckDB's error behind it.

    That one may repeat a password: it would be shown in a traceback.

    Args:
        doing: What is done, as in "could not <doing>".
        work: Does it.

    Raises:
        StorageError: DuckDB refuses.
    """
    try:
        with storage_errors(doing):
            return work()
    except StorageError as error:
        refusal = error
    refusal.__cause__ = refusal.__context__ = None
    raise refusal


@contextmanager
def reaching(cursor: duckdb.DuckDBPyConnection, place: str, setup: _File | None) -> Iterator[None]:
    """Surround a moment in which files of object storage are written."""
    with prepared(cursor, setup, place, ("httpfs",)):
        yield


def set_up(cursor: duckdb.DuckDBPyConnection, setup: _File | None) -> None:
    """Run a setup file.

    Raises:
        ConfigurationError: It cannot be read, or DuckDB refuses it.
    """
    if setup is None:
        return
    try:
        text = Path(setup).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(f"The setup file {os.fspath(setup)!r} cannot be read: {reason}.") from None
    _hidden.hide(*(word.replace("''", "'") for secret in _SECRETS for word in re.findall(secret, text)))
    try:
        cursor.execute(text)
    except duckdb.Error as error:
        said = str(error).strip().split("\n", 1)[0]
    else:
        return
    # Outside of the block above: an error that had DuckDB's behind it would show what that repeats of the file.
    raise ConfigurationError(f"The setup file {os.fspath(setup)!r} was refused: {said}")


@contextmanager
def prepared(
    cursor: duckdb.DuckDBPyConnection, setup: _File | None, name: str, extensions: Sequence[str]
) -> Iterator[None]:
    """Surround a moment: what a setup file makes for it goes again, and a missing extension is one sentence.

    Other runs of the process attach databases of their own meanwhile, which stay.
    """
    with _TURNS.lock:
        _hidden.hide(*filter(None, [os.environ.get("PGPASSWORD")]))
        secrets_before, databases_before = secrets, databases = _secrets(cursor), _databases(cursor)
        try:
            try:
                set_up(cursor, setup)
            finally:
                if setup is not None:
                    secrets, databases = _secrets(cursor), _databases(cursor)
            yield
        except _WITHOUT_EXTENSION as error:
            if not extensions or not _OF_AN_EXTENSION.search(_QUOTED.sub("", str(error))):
                raise
            said = str(error).split("\n", 1)[0]
            raise ConfigurationError(
                f"DuckDB {duckdb.__version__} cannot load an extension that {name.partition(':')[0]} needs "
                f"({', '.join(extensions)}): {said}. Where there is a network, run INSTALL once; else install the "
                "packages duckdb-extension-... of the same version and LOAD their files in --setup FILE.sql."
            ) from None
        finally:
            for secret in secrets - secrets_before:
                with suppress(duckdb.Error):
                    cursor.execute(f"DROP TEMPORARY SECRET IF EXISTS {quote(secret)}")
            for each in databases - databases_before:
                with suppress(duckdb.Error):
                    cursor.execute(f"DETACH {quote(each)}")


def _secrets(cursor: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in cursor.execute("SELECT name FROM duckdb_secrets() WHERE NOT persistent").fetchall()}


def _databases(cursor: duckdb.DuckDBPyConnection) -> set[str]:
    named = "SELECT database_name FROM duckdb_databases() WHERE NOT starts_with(database_name, '_mixpanel_')"
    return {name for (name,) in cursor.execute(named).fetchall()}
