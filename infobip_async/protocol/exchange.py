"""The transport's words: requests, replies, pushes, credentials and addresses of every format."""

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final, Self
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
class CallbackUrls:
    """The addresses to enter in the account's profile page, which hold a secret.

    Attributes:
        delivery_reports: where delivery reports are posted (§3.1).
        hlr_reports: where HLR reports are posted (§5).
        inbound_sms: the template of the GET that brings an inbound SMS (§6).
    """

    delivery_reports: str = attrs.field(repr=False)
    hlr_reports: str = attrs.field(repr=False)
    inbound_sms: str = attrs.field(repr=False)


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


def fault_of_url(url: str) -> str | None:
    """Why a URL leads to no host; None where it leads to one.

    The reason does not repeat the URL, which may hold a password. For the same purpose it is
    returned, not raised: no traceback leads to the URL.
    """
    if not url.isprintable() or " " in url:
        return "has a blank or a control character in it, such as the CR of a Windows line end"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # the host in brackets is no address, or the port is no number
        usable = False
    if not usable:
        return "not an http or https URL, such as http://host.example.com:8080"
    if "@" in url.partition(parts.netloc)[2]:  # else what stands before a / would pass for the host
        return "has an @ behind its host: in a password, / is written %2F, and @ is written %40"
    return None


def _fault_of_endpoint(url: str) -> str | None:
    if fault := fault_of_url(url):
        return fault
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return "has a user or a password in it: give those of the account to InfobipClient"
    if "?" in url or "#" in url:
        return "has a query or a fragment, which the requests have themselves"
    return None


def is_loopback(host: str | None) -> bool:
    """Whether the name or address of a host is this machine's own."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _joined(base: str, paths: Mapping[str, str]) -> dict[str, str]:
    """The URLs of services under one base.

    Raises:
        LocalProtocolError: the base is no URL of a host.
    """
    if fault := _fault_of_endpoint(base):
        del base  # no traceback shows a password in it
        raise LocalProtocolError(fault, field="base")
    return {name: base.rstrip("/") + path for name, path in paths.items()}


_LATER: Final = {
    "send_xml": "/api/sendsms/xml",
    "send_get": "/api/sendsms/plain",
    "command": "/api/command",
    "dlr_pull": "/api/dlrpull",
    "hlr_query": "/api/hlr",
}


@attrs.frozen(kw_only=True)
class Endpoints:
    """The URLs of the five services of the interface; the document's, over https, by default.

    Attributes:
        send_xml: SMS by XML POST (§2/1).
        send_get: SMS by GET (§2/2).
        command: account commands (§2/2.1).
        dlr_pull: delivery reports by pull (§3.2).
        hlr_query: HLR queries (§4).

    Raises:
        LocalProtocolError: one is no http or https URL of a host, or has a login or a query in it.
    """

    send_xml: str = "https://www.infobip.com/AddOn/SMSService/XML/XMLInput.aspx"
    send_get: str = "https://www.infobip.com/Addon/SMSService/SendSMS.aspx"
    command: str = "https://www.infobip.com/Addon/SMSService/command.aspx"
    dlr_pull: str = "https://api.infobip.com/api/dlrpull"
    hlr_query: str = "https://api.infobip.com/api/hlr/query.aspx"

    def __attrs_post_init__(self) -> None:
        for name, url in attrs.asdict(self).items():
            if fault := _fault_of_endpoint(url):
                raise LocalProtocolError(fault, field=name, section="2")

    @classmethod
    def at(cls, base: str) -> Self:
        """The document's paths under one base, such as ``http://127.0.0.1:8080``."""
        paths = {name: urlsplit(url).path for name, url in attrs.asdict(cls()).items()}
        return cls(**_joined(base, paths))

    @classmethod
    def later(cls, base: str = "https://api.infobip.com") -> Self:
        """The later addresses of the same wire formats, under one base."""
        return cls(**_joined(base, _LATER))

    def check(self, *, allow_insecure: bool = False) -> None:
        """Refuse URLs that would carry the password in clear to another machine.

        Raises:
            LocalProtocolError: one is an http URL of another machine, and `allow_insecure` is not
                set.
        """
        for name, url in attrs.asdict(self).items():
            parts = urlsplit(url)
            if parts.scheme == "http" and not (allow_insecure or is_loopback(parts.hostname)):
                raise LocalProtocolError(
                    "the password would travel in clear; use https, or allow_insecure=True",
                    field=name,
                    section="2",
                )
