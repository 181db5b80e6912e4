"""Who asks: a service account or a token, the project, and the host that answers.

Credentials are read once and become HTTP headers in one place. Nothing here prints a secret: pydantic's
``SecretStr`` keeps it out of every repr, and errors name variables, never values. The client knows a ``Signer`` only:
``Credentials``, or the account of another package (``headless``).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, ClassVar, Literal, Protocol, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, model_validator

from ..errors import ConfigurationError, CredentialsError
from .headless_config import stored_accounts

__all__ = ["Credentials", "Signer", "is_loopback", "resolve_base_url", "resolve_export_url"]

Region = Literal["us", "eu", "in"]

# Server list of the OpenAPI file in github.com/mixpanel/docs.
HOSTS: dict[Region, str] = {
    "us": "https://mixpanel.com",
    "eu": "https://eu.mixpanel.com",
    "in": "https://in.mixpanel.com",
}
# Raw events come from hosts of their own (export.openapi.yaml there).
_EXPORT_HOSTS = {
    HOSTS["us"]: "https://data.mixpanel.com",
    HOSTS["eu"]: "https://data-eu.mixpanel.com",
    HOSTS["in"]: "https://data-in.mixpanel.com",
}
_VARIABLES = ("MP_USERNAME", "MP_SECRET", "MP_OAUTH_TOKEN", "MP_PROJECT_ID", "MP_REGION", "MP_WORKSPACE_ID")


class Signer(Protocol):
    """Who signs requests for one project; any thread may call any method.

    Attributes:
        renews: Whether another header may come after a 401, so that it is worth asking once more.
    """

    renews: ClassVar[bool]

    @property
    def project_id(self) -> str:
        """Numeric id of the project, as text."""

    @property
    def region(self) -> Region:
        """Where the project's data lives."""

    @property
    def account(self) -> str:
        """Tells the accounts of a project apart, and nothing else of them: one may see less than another."""

    def authorization(self) -> str:
        """Give the value of the ``Authorization`` header for one request."""

    def headers(self) -> Mapping[str, str]:
        """Give other headers that every request carries."""

    def scope(self) -> dict[str, str]:
        """Give the URL parameters that say what is read."""


class Credentials(BaseModel):
    """A service account or a bearer token for one project.

    Args:
        username: Service account user name; goes with ``secret``.
        secret: Service account secret.
        token: OAuth bearer token, instead of the other two.
        project_id: Numeric id of the project, as text.
        region: ``"us"``, ``"eu"`` or ``"in"``: where the project's data lives.
        workspace_id: Data View to read through, if the project uses them.

    Raises:
        CredentialsError: When something is missing, unknown or contradictory; values are never shown.

    Example:
        >>> Credentials(username="me.123.mp-service-account", secret="s3cret", project_id="42")
        Credentials(username='me.123.mp-service-account', secret=SecretStr('**********'), token=None, \
project_id='42', region='us', workspace_id=None)
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True
    )

    renews: ClassVar[bool] = False

    username: str | None = None
    secret: SecretStr | None = None
    token: SecretStr | None = None
    project_id: str
    region: Region = "us"
    workspace_id: str | None = None

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(str(part) for part in item['loc']) or 'credentials'}: {item['msg']}"
                for item in error.errors(include_input=False, include_url=False, include_context=False)
            )
            raise CredentialsError(f"Unusable credentials: {reasons}.") from None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        for name in ("username", "secret", "project_id", "workspace_id"):
            value = getattr(self, name)
            if not is_utf8(value.get_secret_value() if isinstance(value, SecretStr) else value or ""):
                raise ValueError(f"{name} holds a lone surrogate, which cannot be sent")
        account = self.username is not None or self.secret is not None
        if self.token is not None and account:
            raise ValueError("give a service account or a token, not both")
        if self.token is None and not (self.username and self.secret and self.secret.get_secret_value()):
            raise ValueError("a user name and a secret, or a token, are needed")
        if self.token is not None and not re.fullmatch("[!-~]+", self.token.get_secret_value()):
            raise ValueError("the token is empty or holds characters that no HTTP header can carry")
        if self.username and ":" in self.username:
            raise ValueError("a user name cannot hold a colon")
        if not self.project_id.strip():
            raise ValueError("project_id is empty")
        return self

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Credentials:
        """Read the variables that ``mixpanel-headless`` uses too.

        ``MP_USERNAME`` and ``MP_SECRET``, or ``MP_OAUTH_TOKEN``; ``MP_PROJECT_ID``; optionally ``MP_REGION``
        (default ``us``) and ``MP_WORKSPACE_ID``.

        Args:
            environ: Variables to read instead of the process environment.

        Raises:
            CredentialsError: Names every variable that is missing, or the two that contradict.

        Example:
            >>> env = {"MP_OAUTH_TOKEN": "abc", "MP_PROJECT_ID": "42", "MP_REGION": "eu"}
            >>> Credentials.from_env(env).region
            'eu'
        """
        env = {name: value.strip() for name, value in (os.environ if environ is None else environ).items()}
        if garbled := [name for name in _VARIABLES if not is_utf8(env.get(name, ""))]:
            raise CredentialsError(f"{', '.join(garbled)} in the environment: the bytes there are no UTF-8 text.")
        username, secret, token = env.get("MP_USERNAME"), env.get("MP_SECRET"), env.get("MP_OAUTH_TOKEN")
        if token and (username or secret):
            raise CredentialsError("MP_OAUTH_TOKEN contradicts MP_USERNAME/MP_SECRET; unset one kind of credentials.")
        wanted = ["MP_PROJECT_ID"] if token else ["MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID"]
        missing = [name for name in wanted if not env.get(name)]
        if missing:
            raise CredentialsError(
                f"Set {', '.join(missing)} in the environment (a service account needs MP_USERNAME, MP_SECRET and "
                "MP_PROJECT_ID; a token MP_OAUTH_TOKEN and MP_PROJECT_ID)."
                f"{stored_accounts() if environ is None else ''}"
            )
        region = (env.get("MP_REGION") or "us").lower()
        if region not in HOSTS:
            raise CredentialsError(f"MP_REGION is {region!r}; it must be one of {', '.join(HOSTS)}.")
        return cls(
            username=username or None,
            secret=secret or None,
            token=token or None,
            project_id=env["MP_PROJECT_ID"],
            region=region,
            workspace_id=env.get("MP_WORKSPACE_ID") or None,
        )

    @property
    def account(self) -> str:
        """Tells the accounts of a project apart, and nothing else of them: one may see less than another."""
        return account_of(self.username or (self.token.get_secret_value() if self.token else ""))

    def authorization(self) -> str:
        """Give the value of the ``Authorization`` header: a secret, for the client only."""
        if self.token is not None:
            return f"Bearer {self.token.get_secret_value()}"
        assert self.secret is not None  # noqa: S101 - the validator holds it
        pair = f"{self.username}:{self.secret.get_secret_value()}"
        return "Basic " + base64.b64encode(pair.encode()).decode("ascii")

    def headers(self) -> Mapping[str, str]:
        """Give other headers that every request carries: none."""
        return {}

    def scope(self) -> dict[str, str]:
        """Give the URL parameters that say which project, and which Data View, is read."""
        view = {"workspace_id": self.workspace_id} if self.workspace_id else {}
        return {"project_id": self.project_id, **view}


def account_of(name: str) -> str:
    """Give a name that can be stored: the same for the same account, and no way back to what it is made of.

    Example:
        >>> account_of("me.123.mp-service-account") == account_of("me.123.mp-service-account")
        True
    """
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def resolve_base_url(
    base_url: str | None,
    region: str,
    *,
    allow_http: bool = False,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Find the host part of every request and refuse one that would send secrets in the clear.

    Args:
        base_url: Host part such as ``https://eu.mixpanel.com``; ``None`` means ``MP_API_BASE_URL``, else the region's.
        region: ``"us"``, ``"eu"`` or ``"in"``.
        allow_http: Accept ``http://`` to a host that is not loopback.
        environ: Variables to read instead of the process environment.

    Raises:
        ConfigurationError: When the URL has no host, carries a password, or is not https.

    Example:
        >>> resolve_base_url(None, "eu", environ={})
        'https://eu.mixpanel.com'
        >>> resolve_base_url("http://127.0.0.1:8080/", "us")
        'http://127.0.0.1:8080'
    """
    env = os.environ if environ is None else environ
    chosen = (base_url or env.get("MP_API_BASE_URL") or HOSTS[region]).strip()  # type: ignore[index]
    parts = _parts(chosen)
    if "@" in chosen:
        raise ConfigurationError("The base URL must not carry a user name or password; use credentials instead.")
    wrong = parts is None or parts.query or parts.fragment or not chosen.isprintable() or " " in chosen
    if parts is None or wrong or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(
            f"The base URL {chosen.partition('?')[0]!r} is not of the form https://host; MP_API_BASE_URL or base_url "
            "sets it."
        )
    if parts.scheme == "http" and not (allow_http or is_loopback(parts.hostname)):
        raise ConfigurationError(
            f"The base URL {chosen!r} is not https, so credentials would travel in the clear; use https, a "
            "loopback address, or allow_http=True (--allow-http) if the network in between is yours."
        )
    return chosen.rstrip("/")


def resolve_export_url(
    base_url: str | None,
    region: str,
    *,
    allow_http: bool = False,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Find the host that raw events come from: ``MP_EXPORT_BASE_URL`` names it, or what :func:`resolve_base_url` finds.

    Raises:
        ConfigurationError: As for :func:`resolve_base_url`.

    Example:
        >>> resolve_export_url(None, "eu", environ={})
        'https://data-eu.mixpanel.com'
        >>> resolve_export_url("http://127.0.0.1:8080", "us")
        'http://127.0.0.1:8080'
    """
    env = os.environ if environ is None else environ
    found = resolve_base_url(base_url or env.get("MP_EXPORT_BASE_URL"), region, allow_http=allow_http, environ=env)
    return _EXPORT_HOSTS.get(found, found)


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if it is no number
    except ValueError:
        return None
    return parts


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, so that what is sent to it leaves it nowhere."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_utf8(text: str) -> bool:
    """Say whether a text can be sent: one from the environment may hold bytes that are no UTF-8, as lone surrogates."""
    return not re.search("[\ud800-\udfff]", text)
