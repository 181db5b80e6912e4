"""Who may ask: service account, project secret or bearer token of one project."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from typing import Literal

from .query import RefusedError
from .wire import HttpRequest, Parameters

UNABLE = "Unable to authenticate request"
NO_SUCH_ACCOUNT = "Not a valid service account username"
WRONG_PROJECT = "Credentials in request did not match project_id URL parameter"
WRONG_PROJECT_KEY = (
    "Unauthorized, invalid project secret. See docs for more information: "
    "https://developer.mixpanel.com/reference/authentication#project-secret"
)


@dataclass(frozen=True, slots=True)
class Account:
    """The one set of credentials that the simulated project knows; `auth="any"` accepts everything."""

    username: str = "simulator"
    secret: str = "simulated-secret"  # noqa: S105
    token: str = "simulated-token"  # noqa: S105
    project_id: str = "1"
    auth: Literal["strict", "any"] = "strict"

    def check(self, request: HttpRequest, parameters: Parameters) -> None:
        """
        Look at the Authorization header and the project.

        Raises:
            RefusedError: 401 with the server's own words.
        """
        if self.auth == "any":
            return
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        project_id = parameters.get("project_id")
        if scheme.lower() == "bearer":
            self._require(credentials, self.token, UNABLE)
        elif scheme.lower() == "basic":
            if self._is_project_secret(credentials.strip()) and project_id is None:
                return
        else:
            raise RefusedError(UNABLE, 401)
        if str(project_id) != self.project_id:
            raise RefusedError(WRONG_PROJECT, 401)

    def _is_project_secret(self, credentials: str) -> bool:
        user, colon, secret = _plain(credentials).partition(":")
        if colon and secret:
            self._require(user, self.username, NO_SUCH_ACCOUNT)
            self._require(secret, self.secret, UNABLE)
            return False
        self._require(user, self.secret, WRONG_PROJECT_KEY)
        return True

    @staticmethod
    def _require(given: str, known: str, text: str) -> None:
        if not secrets.compare_digest(given.encode(), known.encode()):
            raise RefusedError(text, 401)


def _plain(credentials: str) -> str:
    """Base64 as HTTP has it, or the bare `user:secret` that the docs also allow."""
    if ":" in credentials:
        return credentials
    try:
        return base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return credentials
