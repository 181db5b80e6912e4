"""Where an exported table goes: a file, a folder of files, or object storage.

A file or folder here is written under a temporary name beside its own, and gets that when it is whole. An object is
there when all of it has been sent; of a folder of objects there may be some, which is why that must be new.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import UnsuitableFileError
from ..store import is_open_database, objects_at, refuse_secret

if TYPE_CHECKING:
    import duckdb

__all__ = ["Place", "place_of"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]+)://")
_OBJECTS = ("s3", "s3a", "s3n", "gs", "gcs", "r2")


class Place(Protocol):
    """A place that a table can be written to."""

    name: str

    def check(self, *, replace: bool) -> None:
        """Refuse what is in the way, as far as can be told without a connection.

        Raises:
            UnsuitableFileError: Something is, or the place cannot be.
        """

    @contextmanager
    def written(self, connection: duckdb.DuckDBPyConnection, *, replace: bool) -> Iterator[str]:
        """Give a path to write to; it has the place's name only when the block has ended well.

        Raises:
            UnsuitableFileError: Something is in the way.
        """

    def size(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Count the bytes of what is there."""


def place_of(file: str | os.PathLike[str], *, folder: bool) -> Place:
    """Tell what a path means.

    Raises:
        UnsuitableFileError: It is nowhere that can be written.
        QueryError: It holds a secret.
    """
    name = os.fspath(file)
    if found := _SCHEME.match(name):
        refuse_secret(name)
        if found[1].lower() not in _OBJECTS:
            raise UnsuitableFileError(
                f"{name!r} cannot be written: give a path, or s3://, gs:// or r2:// and a bucket."
            )
        return _Objects(name.rstrip("/") if folder else name, folder=folder)
    path = Path(os.path.realpath(os.path.expanduser(name)))
    return _Folder(path) if folder else _File(path)


class _File:
    """A file here."""

    def __init__(self, path: Path) -> None:
        self._path, self.name = path, str(path)

    def check(self, *, replace: bool) -> None:
        path = self._path
        if os.path.exists(path) and not path.is_file():
            raise UnsuitableFileError(f"{path} is there and is no plain file.")
        _check(path, replace=replace)

    @contextmanager
    def written(self, connection: duckdb.DuckDBPyConnection, *, replace: bool) -> Iterator[str]:
        path = self._path
        if is_open_database(connection, path):
            raise UnsuitableFileError(f"{path} is the database; give the export a file of its own.")
        part = _beside(path)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            if path.exists():
                shutil.copymode(path, part)
            yield str(part)
            _keep(part)
            self.check(replace=replace)
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def size(self, _: duckdb.DuckDBPyConnection) -> int:
        return self._path.stat().st_size


class _Folder:
    """A folder of files here."""

    def __init__(self, path: Path) -> None:
        self._path, self.name = path, str(path)

    def check(self, *, replace: bool) -> None:
        path = self._path
        if os.path.exists(path) and not path.is_dir():
            raise UnsuitableFileError(f"{path} is there and is no folder.")
        _check(path, replace=replace)
        if other := next((each for each in self._files() if each.suffix != ".parquet"), None):
            raise UnsuitableFileError(
                f"{path} has more than Parquet files, {other.name!r} for one, and is not replaced."
            )

    @contextmanager
    def written(self, _: duckdb.DuckDBPyConnection, *, replace: bool) -> Iterator[str]:
        path, part, old = self._path, _beside(self._path), _beside(self._path)
        try:
            part.mkdir(0o700)
            yield str(part)
            for file in part.rglob("*.parquet"):
                _keep(file)
            _shut(part, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o700)
            self.check(replace=replace)
            if path.exists():
                path.rename(old)
            part.rename(path)
        finally:
            if old.exists() and not path.exists():  # stopped between the two names
                old.rename(path)
            for left in (part, old):
                shutil.rmtree(left, ignore_errors=True)

    def size(self, _: duckdb.DuckDBPyConnection) -> int:
        return sum(file.stat().st_size for file in self._files())

    def _files(self) -> Iterator[Path]:
        return (each for each in self._path.rglob("*") if not each.is_dir())


class _Objects:
    """One object, or all whose names begin like a folder's."""

    def __init__(self, name: str, *, folder: bool) -> None:
        self.name, self._folder = name, folder

    def check(self, *, replace: bool) -> None:  # noqa: ARG002 - whether it is there, only a connection tells
        if re.search(r"[*?\[]", self.name):
            raise UnsuitableFileError(f"{self.name!r} is a pattern; give the name of an object.")

    @contextmanager
    def written(self, connection: duckdb.DuckDBPyConnection, *, replace: bool) -> Iterator[str]:
        there, _ = objects_at(connection, self.name, folder=self._folder)
        if there and self._folder:
            raise UnsuitableFileError(
                f"There are objects in {self.name}; give a new folder, which readers then turn to."
            )
        if there and not replace:
            raise _is_there(self.name)
        yield self.name

    def size(self, connection: duckdb.DuckDBPyConnection) -> int:
        return objects_at(connection, self.name, folder=self._folder)[1]


def _check(path: Path, *, replace: bool) -> None:
    if not os.path.isdir(path.parent):
        raise UnsuitableFileError(f"The folder {path.parent} does not exist.")
    try:
        os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnsuitableFileError(f"{path} cannot be written: {error.strerror}.") from None
    if not replace:
        raise _is_there(str(path))


def _is_there(name: str) -> UnsuitableFileError:
    return UnsuitableFileError(f"{name} exists; choose replace=True (--replace) to replace it, or another name.")


def _beside(path: Path) -> Path:
    """A name in the same folder; short, however long the other name is."""
    return path.with_name(f".mp-fetch-{uuid.uuid4().hex[:12]}.part")


def _shut(folder: Path, mode: int) -> None:
    """Give a folder its mode, and let nobody read what is in it who may not read the folder: files get moved."""
    for each in folder.rglob("*"):
        each.chmod(stat.S_IMODE(each.stat().st_mode) & mode)
    folder.chmod(mode)


def _keep(written: Path) -> None:
    """Have the disk hold the file before it gets its name, or power loss could leave that name on half of it."""
    with written.open("rb+") as file:
        os.fsync(file.fileno())
