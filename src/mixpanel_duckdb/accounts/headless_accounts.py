"""Accounts, projects and targets that ``mixpanel-headless`` has stored, by name.

The SDK's own ``Workspace`` looks them up. By its rules variables of the environment go before names; a name that the
environment would override is refused here, since the rows of another project are worse than an error.
"""

from __future__ import annotations

import os
from typing import Any

from ..errors import ConfigurationError, MixpanelError
from .headless_sdk import SDK, imported, incompatible, needed, sentence

__all__ = ["open_session"]

# An account in the environment goes before any that is named, by the SDK's rules.
_ACCOUNT_VARIABLES = (
    ("MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID", "MP_REGION"),
    ("MP_OAUTH_TOKEN", "MP_PROJECT_ID", "MP_REGION"),
)


def open_session(*, account: str | None = None, project: str | None = None, target: str | None = None) -> Any:
    """Look up an account, a project or a target by the names that the SDK's own commands have stored.

    Args:
        account: Name of an account (``mp account list``).
        project: Numeric id of a project, as text.
        target: Name of a target (``mp target list``); stands alone.

    Returns:
        A ``Session`` of the SDK.

    Raises:
        ConfigurationError: The SDK is not installed, knows no such name, or would use another account or project that
            the environment names.
    """
    if target is not None and (account is not None or project is not None):
        raise ConfigurationError("A target has an account and a project of its own; leave out the other two.")
    workspace_class = imported(SDK, "Workspace")
    _refuse_what_the_environment_overrides(account, project, target)
    try:
        with workspace_class(account=account, project=project, target=target) as workspace:
            return needed(workspace, "session")
    except MixpanelError:
        raise
    except (TypeError, AttributeError) as error:
        failure = incompatible(f"Workspace(account=, project=, target=) fails with {type(error).__name__}")
    except Exception as error:  # noqa: BLE001 - the SDK's own errors, which it may extend
        failure = ConfigurationError(f"mixpanel-headless: {sentence(error)}")
    raise failure  # not above, where the SDK's error with all its details would stay behind it


def _refuse_what_the_environment_overrides(account: str | None, project: str | None, target: str | None) -> None:
    overriding: list[str] = []
    if account is not None or target is not None:
        overriding += next((names for names in _ACCOUNT_VARIABLES if all(map(os.environ.get, names))), ())
    if os.environ.get("MP_PROJECT_ID") not in (None, "", project) and (project is not None or target is not None):
        overriding.append("MP_PROJECT_ID")
    if target is not None and os.environ.get("MP_WORKSPACE_ID"):
        overriding.append("MP_WORKSPACE_ID")
    if overriding:
        given = {"account": account, "project": project, "target": target}
        raise ConfigurationError(
            f"For mixpanel-headless the environment goes before names: {', '.join(dict.fromkeys(overriding))} would "
            f"override the {' and the '.join(name for name, value in given.items() if value is not None)}; unset it."
        )
