"""Files of databases: made whole or not at all, and their owner's alone to read."""

import errno
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from mixpanel_duckdb import ProfileStore, StorageError
from mixpanel_duckdb.store.database import files
from store.storing import fill, page

posix = pytest.mark.skipif(os.name != "posix", reason="limits, kills and modes of POSIX")
WITHIN_LIMITS = """
import resource, signal, sys
import mixpanel_duckdb as md
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for size in (0, 1, 4096, 8192, 12287):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        md.ProfileStore(sys.argv[1])
    except md.StorageError as error:
        print(size, "could not open" in str(error).lower(), len(str(error).splitlines()))
"""
KILLED = """
import os, signal, sys
from mixpanel_duckdb import ProfileStore
from mixpanel_duckdb.store.database import files
files.os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
ProfileStore(sys.argv[1])
"""
KILLED_WITH_A_LOG = """
import os, signal, sys
from mixpanel_duckdb import ProfileStore
from store.storing import opened, page, put
with ProfileStore(sys.argv[1]) as store, opened(store) as (fetch, writer):
    put(writer, [page(0, "a")])
    os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
def test_a_new_file_that_does_not_fit_leaves_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHIN_LIMITS, str(tmp_path / "new.duckdb")], check=True, capture_output=True, text=True
    )
    assert done.stdout == "".join(f"{size} True 1\n" for size in (0, 1, 4096, 8192, 12287))
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_kill_before_a_new_file_has_its_name_leaves_none_of_that_name(tmp_path):
    path = tmp_path / "new.duckdb"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -signal.SIGKILL
    assert not path.exists()
    young = tmp_path / f".mp-fetch-{os.getpid()}-0.new"  # as another thread is making it
    young.touch()
    with ProfileStore(path) as store:
        fill(store, [page(0, "a")])
    assert list(tmp_path.glob(".mp-fetch-*")) == [young]
    os.utime(young, (0, 0))
    with ProfileStore(path):
        assert not young.exists()


def test_where_the_disk_is_full_as_the_file_gets_its_name_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "link", fails_with(errno.ENOSPC))
    with pytest.raises(StorageError, match="No space left"):
        ProfileStore(tmp_path / "new.duckdb")
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_links_a_file_is_made_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "link", fails_with(errno.EPERM))
    with ProfileStore(tmp_path / "new.duckdb") as store:
        fill(store, [page(0, "a")])
    assert [each.name for each in tmp_path.iterdir()] == ["new.duckdb"]


def fails_with(number):
    def link(*_):
        raise OSError(number, os.strerror(number))

    return link


def test_a_file_that_another_makes_meanwhile_stays(tmp_path, monkeypatch):
    link = os.link

    def beaten(source, target):
        with duckdb.connect(target) as other:
            other.execute("CREATE TABLE theirs AS SELECT 42 AS a")
        link(source, target)

    monkeypatch.setattr(files.os, "link", beaten)
    with ProfileStore(tmp_path / "new.duckdb") as store, store.reader()() as connection:
        assert connection.execute("FROM theirs").fetchall() == [(42,)]
    assert [each.name for each in tmp_path.iterdir()] == ["new.duckdb"]


def test_threads_that_make_one_file_together_all_open_it(tmp_path):
    for turn in range(5):
        path = tmp_path / f"{turn}.duckdb"
        with ThreadPoolExecutor(8) as pool:
            stores = list(pool.map(ProfileStore, [path] * 8))
        for store in stores:
            store.close()
    assert len(list(tmp_path.iterdir())) == 5


def test_the_log_of_a_file_that_is_gone_is_not_taken_for_that_of_a_new_one(tmp_path):
    path, log = tmp_path / "x.duckdb", tmp_path / "x.duckdb.wal"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE old (a INTEGER)")
        left = log.read_bytes()
    path.unlink()
    log.write_bytes(left)
    ProfileStore(path).close()
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables() WHERE table_name = 'old'").fetchall() == []


def test_a_link_to_a_file_that_is_not_there_yet_stays_a_link(tmp_path):
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "real.duckdb")
    ProfileStore(tmp_path / "link.duckdb").close()
    assert (tmp_path / "link.duckdb").is_symlink()
    assert (tmp_path / "real.duckdb").is_file()


@posix
def test_a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_mode(tmp_path):
    path = tmp_path / "mode.duckdb"
    ProfileStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with ProfileStore(path) as store:
        fill(store, [page(0, "a")])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_nobody_reads_the_log_who_may_not_read_the_database(tmp_path, mode):
    path = tmp_path / "mode.duckdb"
    ProfileStore(path).close()
    path.chmod(mode)
    code = f"import os, sys; sys.path[:0] = {sys.path!r}; os.umask(0o022)\n" + KILLED_WITH_A_LOG
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -signal.SIGKILL
    left = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert left == {"mode.duckdb": mode, "mode.duckdb.wal": mode}
