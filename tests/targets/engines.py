"""Each kind of target, as a test sees it: what is given to a fetch, and what others then find there."""

import importlib.util
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

import mixpanel_duckdb as md
from helpers import Row, fetch, served
from mixpanel_duckdb.simulator import Population, Simulator
from targets.postgres import PostgresServer

EXTENSIONS = ("ducklake", "httpfs", "postgres_scanner", "sqlite_scanner")
# Each kind, with what it needs; to load one takes DuckDB 50 ms.
KINDS = {
    "file": (),
    "ducklake": ("ducklake",),
    "ducklake:sqlite": ("ducklake", "sqlite_scanner"),
    "ducklake:postgres": ("ducklake", "postgres_scanner"),
    "postgres": ("postgres_scanner",),
}
# Those that several processes may write at once.
SHARED = ("ducklake:postgres", "postgres")


def extension_files(names: Iterable[str] = EXTENSIONS) -> list[Path]:
    """The files of DuckDB's extensions, of those packages that are installed."""
    found = [importlib.util.find_spec(f"duckdb_extension_{name}") for name in names]
    folders = [spec.submodule_search_locations[0] for spec in found if spec and spec.submodule_search_locations]
    return [file for folder in folders for file in Path(folder).rglob(f"v{duckdb.__version__}/*.duckdb_extension")]


def setup_text(names: Iterable[str]) -> str:
    """What loads them."""
    return "".join(f"LOAD '{file}';\n" for file in extension_files(names))


@dataclass
class Engine:
    """A place to publish into.

    Args:
        kind: One of ``KINDS``.
        target: As a fetch is told.
        server: The server behind it, if there is one.
        database: Its database there.
        files: Folder of its files, if it has one.
    """

    kind: str
    target: md.Target
    server: PostgresServer | None = None
    database: str = ""
    files: Path | None = None
    _connection: duckdb.DuckDBPyConnection | None = field(default=None, repr=False)

    @classmethod
    def made(cls, kind: str, folder: Path, server: PostgresServer | None) -> "Engine":
        """Give a new one in a folder."""
        setup, files = folder / "setup.sql", folder / "lake"
        setup.write_text(setup_text(KINDS[kind]))
        database = server.database() if server and kind in SHARED else ""
        attach = {
            "file": str(folder / "shared.duckdb"),
            "ducklake": f"ducklake:{folder / 'lake.ducklake'}",
            "ducklake:sqlite": f"ducklake:sqlite:{folder / 'lake.sqlite'}",
            "ducklake:postgres": f"ducklake:postgres:{server.place(database)}" if database else "",
            "postgres": f"postgres:{server.place(database)}" if database else "",
        }[kind]
        is_lake = kind.startswith("ducklake")
        target = md.Target(attach, data_path=f"{files}/" if is_lake else None, setup=setup)
        return cls(kind, target, server, database, files if is_lake else None)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Attach it as anybody would, by none of our code, and use it."""
        connection, attach = duckdb.connect(), self.target.attach
        connection.execute(setup_text(KINDS[self.kind]))
        option = "TYPE postgres" if self.kind == "postgres" else "READ_ONLY"
        connection.execute(f"ATTACH '{attach.removeprefix('postgres:')}' AS there ({option})")
        connection.execute("USE there")
        return connection

    def connect_to_write(self) -> duckdb.DuckDBPyConnection:
        """The same, for whoever makes or alters something there."""
        connection, attach = duckdb.connect(), self.target.attach
        connection.execute(setup_text(KINDS[self.kind]))
        options = {"TYPE postgres": self.kind == "postgres", f"DATA_PATH '{self.files}/'": self.files}
        chosen = ", ".join(option for option, is_meant in options.items() if is_meant)
        connection.execute(f"ATTACH '{attach.removeprefix('postgres:')}' AS there {f'({chosen})' if chosen else ''}")
        connection.execute("USE there")
        return connection

    def sql(self, query: str) -> list[tuple[object, ...]]:
        """Ask it something, from a session of its own."""
        with self.connect() as connection:
            return connection.execute(query).fetchall()

    def rows(self, table: str = "profiles") -> Counter[Row]:
        """The rows of a table, in the form of ``helpers.stored``."""
        found = self.sql(f"SELECT distinct_id, properties::VARCHAR, last_seen FROM {table}")
        return Counter((name, json.dumps(json.loads(text), sort_keys=True), seen) for name, text, seen in found)

    def holding(self, population: Population) -> Counter[Row]:
        """The rows that a table of these profiles must have."""
        return Counter(
            (self.held(name), json.dumps(self.held(json.loads(text)), sort_keys=True), seen)
            for name, text, seen in served(population).elements()
        )

    def held(self, value: object) -> object:
        """A value as it comes back: PostgreSQL holds no NUL."""
        return _without_nul(value) if self.kind == "postgres" else value

    def bytes(self) -> int:
        """Bytes of a lake's files."""
        return sum(path.stat().st_size for path in self.files.rglob("*.parquet")) if self.files else 0


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(each) for name, each in value.items()}
    return value


def counts(result: md.ParallelProfileFetchResult) -> tuple[int | None, ...]:
    return result.added_rows, result.changed_rows, result.removed_rows, result.unchanged_rows


def published(
    population: Population, work: Path | str, target: md.Target, **options: object
) -> md.ParallelProfileFetchResult:
    """One run against a server of its own, into whatever is there."""
    options.setdefault("if_exists", "replace")
    with Simulator(population) as sim:
        return fetch(sim, os.fspath(work), into=target, allow_other=True, **options)
