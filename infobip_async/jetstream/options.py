"""How to connect to a NATS broker."""

import ssl
from collections.abc import Sequence

import attrs


@attrs.frozen(kw_only=True)
class ConnectOptions:
    """How to connect to a broker.

    Attributes:
        servers: URLs such as ``nats://127.0.0.1:4222`` of servers of one cluster; a URL may hold
            a user and a password.
        credentials: the path of a NATS credentials file.
        tls: the TLS settings for ``tls://`` URLs; the system's certificates by default.
        timeout: seconds to wait for an answer.
    """

    servers: Sequence[str] = attrs.field(repr=False)
    credentials: str | None = attrs.field(default=None, repr=False)
    tls: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    timeout: float = 5.0


Servers = str | Sequence[str] | ConnectOptions
"""What users give: the URL of one server, several URLs, or all options."""


def connect_options(servers: Servers) -> ConnectOptions:
    """Make options of what a user gave."""
    if isinstance(servers, ConnectOptions):
        return servers
    return ConnectOptions(servers=(servers,) if isinstance(servers, str) else tuple(servers))
