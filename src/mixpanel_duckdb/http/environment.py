"""What the environment says of the way to a host: the proxy in between, and whose certificates are trusted.

The variables are those that httpx reads, and mean what they mean to it. It reads them for all hosts at once, though,
and stops at what it does not understand; here they are read for one host, and an error names the variable.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from ..accounts import is_loopback
from ..errors import ConfigurationError
from ..extras import installed

__all__ = ["certificate_errors", "proxy_for"]

_SCHEMES = ("http", "https", "socks5", "socks5h")
_SYSTEM = "The system's proxy setting"


def proxy_for(url: str) -> str | None:
    """Find the proxy that requests to a host go through.

    Args:
        url: Base URL of the host.

    Returns:
        URL of the proxy; ``None`` if there is none, or ``NO_PROXY`` excepts the host. Plain http to a loopback address
        never goes through one, which would read what is sent.

    Raises:
        ConfigurationError: ``HTTP_PROXY``, ``HTTPS_PROXY`` or ``ALL_PROXY`` is no URL of a proxy, whether or not it is
            that of this host.
    """
    found = getproxies()
    proxies = {scheme: _checked(scheme, found[scheme]) for scheme in ("http", "https", "all") if found.get(scheme)}
    host = urlsplit(url)
    if host.scheme == "http" and is_loopback(host.hostname or ""):
        return None
    if any(_excepts(entry.strip(), host) for entry in found.get("no", "").split(",")):
        return None
    return proxies.get(host.scheme, proxies.get("all"))


@contextmanager
def certificate_errors() -> Iterator[tuple[object, ...]]:
    """Say which variable it is, if the certificates that are trusted cannot be read in this block.

    Gives what tells them from others: those that have been read for an equal one need not be read again.

    Raises:
        ConfigurationError: They cannot.
    """
    file, folders, log = map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"))
    try:
        changed = None
        if file:
            with Path(file).open("rb") as opened:
                changed = os.fstat(opened.fileno()).st_mtime_ns
        elif folders and not any(map(os.path.isdir, folders.split(os.pathsep))):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        yield file, changed, folders, log
    except (OSError, ValueError) as error:
        name, path = ("SSL_CERT_FILE", file) if file else ("SSL_CERT_DIR", folders)
        if log and getattr(error, "filename", None) == log:
            name, path = "SSLKEYLOGFILE", log
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{name} is {path!r}, which cannot be used: {why}. Mend it or unset it.") from None


def _checked(scheme: str, value: str) -> str:
    """Give a proxy's URL; the value itself, which may hold a password, is not shown."""
    names = [name for name, text in os.environ.items() if name.lower() == f"{scheme}_proxy" and text == value]
    name = names[0] if names else _SYSTEM
    url = value if "://" in value else f"http://{value}"
    try:
        url.encode()
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and url.isprintable() and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"{name} is no URL of a proxy such as http://host:3128 ({', '.join(_SCHEMES)}).")
    if parts.scheme.startswith("socks") and not installed("socksio"):
        raise ConfigurationError(f'{name} is a SOCKS proxy; pip install "httpx[socks]" brings what that needs.')
    return url


def _excepts(entry: str, host: SplitResult) -> bool:
    """Whether an entry of ``NO_PROXY`` means a host: a name with all below it, an address, or a range of addresses."""
    scheme, _, rest = entry.rpartition("://")
    if entry == "*" or not rest or scheme not in ("", "all", host.scheme):
        return entry == "*"
    name = host.hostname or ""
    try:
        return ip_address(name) in ip_network(rest.strip("[]"), strict=False)
    except ValueError:
        pass
    try:
        parts = urlsplit(f"//{rest}")
        wanted, port = (parts.hostname or "").removeprefix("*"), parts.port
    except ValueError:
        return False
    if port is not None and port != (host.port or {"http": 80, "https": 443}[host.scheme]):
        return False
    if wanted.startswith("."):
        return name.endswith(wanted)
    return bool(wanted) and (name == wanted or name.endswith(f".{wanted}"))
