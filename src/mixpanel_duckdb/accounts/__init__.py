"""Who asks: credentials, and whatever else can sign a request. Secrets live here and nowhere else.

Environment variables, a ``Credentials`` or an account of ``mixpanel-headless`` come in; a ``Signer`` goes out, which
signs a request. Called by ``http`` (to sign, and to hide what it signs with), ``engage`` (to know the project) and the
one-call forms above them.

=====================  ==================================================================
``credentials``        ``Credentials``, ``Signer``, and which base URL is safe
``headless``           a ``Workspace`` or ``Session`` of the SDK as a ``Signer``
``headless_accounts``  an account that the SDK has stored, by its name, for the command
``headless_config``    which accounts the SDK has stored, to name them in an error
``headless_sdk``       which names of the SDK are used, and what to say if they are gone
=====================  ==================================================================
"""

from .credentials import Credentials, Signer, is_loopback, resolve_base_url, resolve_export_url
from .headless import AnyCredentials, signer_for
from .headless_accounts import open_session

__all__ = [
    "AnyCredentials",
    "Credentials",
    "Signer",
    "is_loopback",
    "open_session",
    "resolve_base_url",
    "resolve_export_url",
    "signer_for",
]
