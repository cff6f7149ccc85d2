"""The transport's words: requests, replies, pushes, credentials and addresses of every format."""

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

import attrs

from infobip_async.errors import LocalProtocolError, RemoteProtocolError


@attrs.frozen(cache_hash=True)  # few, and in every request
class Credentials:
    """Username and password of an account. A missing one is the empty string."""

    username: str
    password: str = attrs.field(repr=False)


@attrs.frozen
class HttpRequest:
    """A request, as a client sends it or a gateway receives it.

    `url` and `body` may hold the password (§2/2, §3.2, §4): neither is in the repr.
    """

    method: str
    url: str = attrs.field(repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    content_type: str | None = None


@attrs.frozen
class HttpReply:
    """A reply, as a client receives it or a gateway sends it.

    Attributes:
        status: the HTTP status.
        body: the body.
        content_type: of the body.
        delimited: the headers say where the body ends. Otherwise it ended with the connection, and
            may have been cut short.
    """

    status: int
    body: bytes = attrs.field(repr=False)
    content_type: str = "text/plain; charset=utf-8"
    delimited: bool = True

    @property
    def successful(self) -> bool:
        """Whether the HTTP status is 2xx. It is 2xx for the gateway's own errors, too."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def text(self) -> str:
        """The body of a successful reply as text, without white space around it.

        Raises:
            RemoteProtocolError: the HTTP status is not 2xx; the gateway reports its own errors
                with 200 (§2/1.3, §2/2).
        """
        if not self.successful:
            raise RemoteProtocolError(f"HTTP status {self.status}", raw=self.body)
        try:
            return self.body.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            return self.body.decode("latin-1").strip()


class PushKind(Enum):
    """The three kinds of pushes; the value is the last segment of the callback URL."""

    DELIVERY_REPORTS = "dlr"
    HLR_REPORTS = "hlr"
    INBOUND_SMS = "inbound"


@attrs.frozen
class RawPush:
    """A push as it arrived; a journal stores it until it is handled.

    Attributes:
        kind: the callback that it came to.
        query: the raw query string, still percent-encoded.
        body: the raw body.
        received_at: seconds since the epoch.
        trace_context: what connects the handlers' spans with the request's, such as a
            ``traceparent``; empty without tracing. It is no part of what the gateway said.
    """

    kind: PushKind
    query: str = ""
    body: bytes = b""
    received_at: float = 0.0
    trace_context: Mapping[str, str] = attrs.field(factory=dict, hash=False)


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        scheme, host, _ = parts.scheme, parts.hostname, parts.port
    except ValueError:  # the host in brackets is no address, or the port is no number
        return "", ""
    return scheme, host or ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _join(base: str, path: str) -> str:
    return base.rstrip("/") + path


@attrs.frozen(kw_only=True)
class Endpoints:
    """The URLs of the five services of the interface; the document's, over https, by default.

    Attributes:
        send_xml: SMS by XML POST (§2/1).
        send_get: SMS by GET (§2/2).
        command: account commands (§2/2.1).
        dlr_pull: delivery reports by pull (§3.2).
        hlr_query: HLR queries (§4).
    """

    send_xml: str = "https://www.infobip.com/AddOn/SMSService/XML/XMLInput.aspx"
    send_get: str = "https://www.infobip.com/Addon/SMSService/SendSMS.aspx"
    command: str = "https://www.infobip.com/Addon/SMSService/command.aspx"
    dlr_pull: str = "https://api.infobip.com/api/dlrpull"
    hlr_query: str = "https://api.infobip.com/api/hlr/query.aspx"

    @classmethod
    def at(cls, base: str) -> Self:
        """The document's paths under one base, such as ``http://127.0.0.1:8080``."""
        paths = {name: urlsplit(url).path for name, url in attrs.asdict(cls()).items()}
        return cls(**{name: _join(base, path) for name, path in paths.items()})

    @classmethod
    def later(cls, base: str = "https://api.infobip.com") -> Self:
        """The later addresses of the same wire formats, under one base."""
        return cls(
            send_xml=_join(base, "/api/sendsms/xml"),
            send_get=_join(base, "/api/sendsms/plain"),
            command=_join(base, "/api/command"),
            dlr_pull=_join(base, "/api/dlrpull"),
            hlr_query=_join(base, "/api/hlr"),
        )

    def check(self, *, allow_insecure: bool = False) -> None:
        """Refuse URLs that would carry the password in clear to another machine.

        Raises:
            LocalProtocolError: one is no http or https URL; or it is an http URL of another
                machine, and `allow_insecure` is not set.
        """
        for name, url in attrs.asdict(self).items():
            scheme, host = _scheme_and_host(url)
            if scheme not in {"http", "https"} or not host:
                raise LocalProtocolError("not an http or https URL", field=name, section="2")
            if scheme == "http" and not (allow_insecure or _is_loopback(host)):
                raise LocalProtocolError(
                    "the password would travel in clear; use https, or allow_insecure=True",
                    field=name,
                    section="2",
                )
