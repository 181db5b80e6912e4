"""Virtual environments with packages from the registry, made once and kept beside pytest's cache."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).resolve().parents[2] / ".pytest_cache" / "environments"
_PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet", "--retries", "1", "--timeout", "15")


class UnavailableError(Exception):
    """The packages cannot be had; says why in pip's words."""


def python_with(*requirements: str, within: float = 240) -> Path:
    """The interpreter of an environment of its own that has these packages; the first call installs them."""
    place = KEPT / _key(requirements)
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{place.name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # the workers of a test run would each make it
        if not place.exists():
            _make(place, requirements, within)
    return place / "bin" / "python"


def _key(requirements: tuple[str, ...]) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = "".join(char if char.isalnum() else "-" for char in requirements[0])
    return f"{name}-{version}-{hashlib.sha256(' '.join(requirements).encode()).hexdigest()[:8]}"


def _make(place: Path, requirements: tuple[str, ...], within: float) -> None:
    """Installed under another name and then renamed, so that a folder with the right name is whole."""
    draft = Path(tempfile.mkdtemp(dir=KEPT))
    python = draft / "bin" / "python"
    try:
        _run([sys.executable, "-m", "venv", "--without-pip", draft], within)
        _run([sys.executable, *_PIP, "--python", python, "install", "--no-compile", *requirements], within)
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run(command: list[str | Path], within: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"not installed within {within:g} s") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UnavailableError(errors[-1] if errors else done.stderr[-300:])
