"""PostgreSQL for a test run: a server of its own in a temporary folder, reached by a socket there, on no port."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from helpers import wait_until

_DEBIAN = "/usr/lib/postgresql"
# Who must give a password, and which.
LOADER, PASSWORD = "loader", "hush-of-the-loader-9"
_OPTIONS = ("fsync=off", "full_page_writes=off", "listen_addresses=", "shared_buffers=16MB", "max_connections=60")


def programs() -> Path | None:
    """The folder with PostgreSQL's programs, if there is one."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [path.parent for path in Path(_DEBIAN).glob("*/bin/initdb")]
    return max(folders, key=lambda path: int(path.parent.name), default=None)


class PostgresServer:
    """A server with a superuser ``postgres``, who needs no password; where we are root, it is run by that user."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        self.folder = Path(tempfile.mkdtemp(prefix="mp-pg-"))
        self._who: dict[str, object] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._data, self._databases = self.folder / "data", 0
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-N", "-E", "UTF8", "--locale=C", "-A", "trust")
        (self._data / "pg_hba.conf").write_text(f"local all {LOADER} scram-sha-256\nlocal all all trust\n")
        self.start()
        self.sql("postgres", f"CREATE ROLE {LOADER} LOGIN PASSWORD '{PASSWORD}'")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [word for each in (*_OPTIONS, f"unix_socket_directories={self.folder}") for word in ("-c", each)]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={"LC_ALL": "C", "PATH": os.defpath},
                **self._who,
            )
        ready = [self._bin / "pg_isready", "-q", "-h", self.folder]
        wait_until(lambda: self._server.poll() is not None or subprocess.call(ready) == 0)
        assert self._server.poll() is None, (self.folder / "log").read_text()

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it at once, as a power cut would, or in another way."""
        self._server.send_signal(how)
        self._server.wait()

    def close(self) -> None:
        """Stop it, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder)

    def database(self) -> str:
        """Make an empty database; gives its name."""
        self._databases += 1
        name = f"d{self._databases}"
        self.sql("postgres", f"CREATE DATABASE {name} OWNER {LOADER}")
        return name

    def own(self, folder: Path) -> None:
        """Make a folder the server's."""
        if "user" in self._who:
            os.chown(folder, self._who["user"], self._who["group"])

    def place(self, database: str, user: str = "postgres") -> str:
        """Where a database is, as a connection string."""
        return f"dbname={database} host={self.folder} user={user}"

    def sql(self, database: str, statement: str) -> list[str]:
        """Run statements by PostgreSQL's own client; gives the lines of what they say."""
        client = [self._bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder]
        done = subprocess.run(
            [*client, "-U", "postgres", "-d", database, "-c", statement], check=True, capture_output=True, text=True
        )
        return done.stdout.splitlines()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments],
            check=True,
            cwd=self.folder,
            capture_output=True,
            env={"LC_ALL": "C", "PATH": os.defpath},
            **self._who,
        )
