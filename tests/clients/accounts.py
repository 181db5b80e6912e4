"""The SDK with accounts of every kind, in a home of its own, and this package beside it."""

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from clients.token_server import REFRESH_TOKEN
from helpers import LONGEST
from preloaded import Preloaded

ROOT = Path(__file__).resolve().parents[2]
STALE = "stale-acc3ss-token"
KINDS = ("service", "token", "variable", "browser")
_ACCOUNT = {"region": "us", "default_project": "1"}
ACCOUNTS = [
    {"name": "service", "type": "service_account", "username": "simulator", "secret": "simulated-secret", **_ACCOUNT},
    {"name": "token", "type": "oauth_token", "token": "simulated-token", **_ACCOUNT},
    {"name": "variable", "type": "oauth_token", "token_env": "TEAM_TOKEN", **_ACCOUNT},
    {"name": "browser", "type": "oauth_browser", **_ACCOUNT},
    {"name": "team", "type": "service_account", "username": "simulator", "secret": "simulated-secret", **_ACCOUNT},
    {"name": "homeless", "type": "oauth_token", "token": "simulated-token", "region": "us"},
    {"name": "europe", "type": "oauth_token", "token": "simulated-token", "region": "eu", "default_project": "42"},
]
TARGETS = [{"name": "prod", "account": "service", "project": "1", "workspace": 77}]
_PATH = {"PYTHONPATH": str(ROOT / "src")}


@cache
def _imported(python: Path) -> Preloaded:
    """With what the SDK and this package import, yet not themselves: the SDK reads the home as it is imported."""
    return Preloaded("duckdb", "httpx", "pandas", "pydantic", "rich.console", python=python, env=_PATH)


@dataclass
class Accounts:
    """Runs the driver, or the command, as the owner of a home with these accounts."""

    python: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, input: str = "") -> subprocess.CompletedProcess[str]:
        env = {"HOME": str(self.home), **_PATH, **self.variables}
        return _imported(self.python).run(words, cwd=self.home, env=env, timeout=LONGEST, input=input)

    def job(self, do: str, **arguments: Any) -> Any:
        """What came of one job."""
        done = self.run(str(Path(__file__).with_name("accounts_driver.py")), input=json.dumps({"do": do, **arguments}))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``mp-fetch`` with these words."""
        return self.run("-m", "mixpanel_duckdb", *words)

    def log_in(self, access_token: str, *, seconds: float, refresh_token: str | None = REFRESH_TOKEN) -> None:
        """Leave behind what a login by way of a browser does, with a token that is good for so long."""
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        tokens = {
            "access_token": access_token,
            "expires_at": expires.isoformat(),
            "scope": "read",
            "token_type": "Bearer",
        }
        _write(self.tokens, tokens | ({"refresh_token": refresh_token} if refresh_token else {}))
        client = {"client_id": "c1", "region": "us", "redirect_uri": "http://localhost:1", "scope": "read"}
        _write(self.home / ".mp" / "oauth" / "client_us.json", client | {"created_at": expires.isoformat()})

    @property
    def tokens(self) -> Path:
        """Where the SDK keeps the browser account's tokens."""
        return self.home / ".mp" / "accounts" / "browser" / "tokens.json"

    def copy(self, home: Path, variables: dict[str, str]) -> "Accounts":
        """The same accounts in another home."""
        shutil.copytree(self.home, home)
        return Accounts(self.python, home, variables)


def _write(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(json.dumps(values))
