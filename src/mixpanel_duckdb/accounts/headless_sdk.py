"""What is known of the ``mixpanel-headless`` SDK: its versions, how its names are reached, its errors in our words."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Any

from ..errors import ConfigurationError, MissingExtraError

__all__ = ["SDK", "SUPPORTED", "details_of", "imported", "incompatible", "needed", "sentence"]

SDK = "mixpanel_headless"
SUPPORTED = ">=0.4,<0.6"
_INSTALL = 'pip install "mixpanel-duckdb[headless]"'


def details_of(error: Exception) -> Mapping[str, Any]:
    """What an SDK error tells beside its text."""
    details = getattr(error, "details", None)
    return details if isinstance(details, Mapping) else {}


def sentence(error: Exception) -> str:
    """The first line of an SDK error, without the answer of a server that it may quote."""
    text = str(error)
    if quoted := details_of(error).get("response_body"):
        text = text.replace(str(quoted), "[answer]")
    first, _, rest = text.strip().partition("\n")
    fixes = [line.removeprefix("  - ").rstrip(".") for line in rest.splitlines() if line.startswith("  - ")]
    advice = f" Either: {'; '.join(fixes)}." if fixes else ""
    return f"{(first or type(error).__name__).rstrip('.')}.{advice}"


def needed(owner: Any, name: str) -> Any:
    """Read a public name of an SDK object."""
    try:
        return getattr(owner, name)
    except AttributeError:
        raise incompatible(f"there is no {type(owner).__name__}.{name}") from None


def imported(module: str, name: str) -> Any:
    """Import a public name of the SDK."""
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != SDK:
            raise incompatible(f"no module {error.name}") from None
        raise MissingExtraError(f"Accounts of mixpanel-headless need that package: {_INSTALL}") from None
    except ImportError as error:
        raise incompatible(f"it cannot be imported ({error})") from None
    except AttributeError:
        raise incompatible(f"there is no {module}.{name}") from None


def incompatible(what: str) -> ConfigurationError:
    """Say that something is not as in the versions that this package knows, and which one is there."""
    try:
        version = f"version {metadata.version('mixpanel-headless')} is installed"
    except metadata.PackageNotFoundError:
        version = "no version of it is installed"
    return ConfigurationError(
        f"This mixpanel-headless is not one that this package knows: {what}; {version}, {SUPPORTED} is supported: "
        f"{_INSTALL}"
    )
