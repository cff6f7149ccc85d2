"""Who may push what, and how much of it, decided without a server (§3.1, §5, §6).

::

    POST /<secret>/dlr        delivery reports
    POST /<secret>/hlr        HLR reports
    GET  /<secret>/inbound    inbound SMS

A server shows the head of a request to `Admission.admit` before it reads the body, the size of
what it has read to `check_size`, and the body to `push`. Each raises `RefusedError`, which says
what to answer; the connection is best closed then, with the rest of the body unread.
"""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import attrs

from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.receiver.probe import MARK, Probe

# To name a member of an enumeration takes Python 3.11 a call: a push would pay for several.
_INBOUND: Final = PushKind.INBOUND_SMS
_OK: Final = HTTPStatus.OK
_ROUTES: Final = {kind.value: (kind, "GET" if kind is _INBOUND else "POST") for kind in PushKind}
_NOT_ENCODED: Final = frozenset({"", "identity"})
_DIGITS: Final = 18  # of a length: more of them are too many octets for any limit
_NOT_PRINTABLE: Final = re.compile(rb"[^!-~]")


@attrs.frozen(kw_only=True)
class Limits:
    """What one push may cost.

    Attributes:
        body_bytes: most octets of a body; a bigger one is refused with 413.
        query_bytes: most octets of a query, and with it of an inbound SMS; a longer one is refused
            with 414. Servers have limits of their own: see docs/servers.md.
        rows: most rows of a body. A push with more is refused with 400 as unreadable, or goes into
            the quarantine of the journal.
        read_seconds: seconds that a body may take to arrive; a slower one is refused with 408.
    """

    body_bytes: int = 2 * 1024 * 1024
    query_bytes: int = 64 * 1024
    rows: int = 10_000
    read_seconds: float = 10.0


class RefusedError(Exception):
    """A request that is not admitted.

    Attributes:
        status: the status to answer.
        headers: the headers to answer.
    """

    def __init__(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.headers: Mapping[str, str] = headers or {}

    @property
    def text(self) -> str:
        """The body to answer: short and fixed, with nothing of the request in it."""
        return _text(self.status)

    @property
    def from_stranger(self) -> bool:
        """Whether the sender did not know the secret; such requests are not worth a log record."""
        return self.status is HTTPStatus.NOT_FOUND


def answer(kind: PushKind, status: HTTPStatus) -> str:
    """Give the body of the answer to a push that was admitted; §6 asks for an empty one."""
    if status is not _OK:
        return _text(status)
    return "" if kind is _INBOUND else "OK"


def _text(status: HTTPStatus) -> str:
    return f"{status.value}: {status.phrase}"


@attrs.define(kw_only=True)  # not frozen: each push makes one, which would take thrice the time
class Head:
    """The head of a request, as any server can give it.

    Attributes:
        method: the method of the request.
        tail: the path behind the mount point and its slash, decoded.
        raw_path: the whole path as it was sent.
        query: all that follows the path and its question mark, in printable ASCII (`query_of`).
        headers: names, in any case of letters, and values.
    """

    method: str
    tail: str = attrs.field(repr=False)
    raw_path: str = attrs.field(repr=False)
    query: str = attrs.field(default="", repr=False)
    headers: Iterable[tuple[str, str]] = attrs.field(default=(), repr=False)


def length_of(value: str) -> int:
    """Read a Content-Length. One that is no number is 0: it is the server's to refuse."""
    return int(value.lstrip("0")[:_DIGITS] or "0") if value.isdecimal() else 0


def query_of(octets: bytes) -> str:
    """Write a query in printable ASCII: octets that should have been percent-encoded are then.

    Args:
        octets: all that follows the path and its question mark. A text that is not encoded may
            hold a ``#``, and octets of any charset.
    """
    return _NOT_PRINTABLE.sub(lambda found: b"%%%02X" % found[0][0], octets).decode("ascii")


@attrs.frozen
class Admission:
    """Decides which requests are pushes of the gateway's, and how big they may be.

    Attributes:
        secrets: the secrets that paths may begin with; without any, paths have no segment for one.
        limits: what one push may cost.
    """

    _secrets: Sequence[str] = attrs.field(repr=False)
    limits: Limits = attrs.field(factory=Limits)
    _prefixes: Sequence[bytes] = attrs.field(init=False, repr=False)

    @_prefixes.default
    def _prefixes_of_secrets(self) -> Sequence[bytes]:
        return tuple(f"{secret}/".encode() for secret in self._secrets) or (b"",)

    def admit(self, head: Head) -> PushKind:
        """Judge the head of a request. A wrong secret is found before anything else shows.

        Returns:
            What the push brings.

        Raises:
            RefusedError: 404 for a wrong secret and a wrong path alike, 405, 413, 414 or 415.
        """
        prefix, slash, name = head.tail.rpartition("/")
        given = (prefix + slash).encode("utf-8", "surrogatepass")
        # All are compared, so that the time does not tell how near the given one was.
        authentic = True in [hmac.compare_digest(given, known) for known in self._prefixes]
        kind, method = _ROUTES.get(name, (None, ""))
        # Encoded characters stand for other paths: %2F is no slash.
        plain = head.raw_path.endswith(head.tail)
        if not authentic or kind is None or not plain:
            raise RefusedError(HTTPStatus.NOT_FOUND)
        if head.method != method:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": method})
        if len(head.query) > self.limits.query_bytes:
            raise RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG)
        self._check_headers(head.headers)
        return kind

    def probe(self, kind: PushKind, query: str) -> Probe | None:
        """Find the probe in a request that was admitted; None where it is a push.

        Raises:
            RefusedError: 400 for a probe that was not signed with a secret.
        """
        if not query.startswith(MARK):
            return None
        try:
            return Probe.of(kind, query, self._secrets)
        except ValueError:
            raise RefusedError(HTTPStatus.BAD_REQUEST) from None

    def _check_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        for name, value in headers:
            match name.lower():
                case "content-encoding":
                    if value.strip().lower() not in _NOT_ENCODED:
                        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
                case "content-length":
                    self.check_size(length_of(value))

    def check_size(self, octets: int) -> None:
        """Judge the size of a body, or of what has arrived of it.

        Raises:
            RefusedError: 413.
        """
        if octets > self.limits.body_bytes:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def push(self, kind: PushKind, query: str, body: bytes, received_at: float) -> RawPush:
        """Make a push of a request that was admitted.

        Args:
            kind: what `admit` gave.
            query: all that follows the path and its question mark, as it was sent. A text that is
                not encoded may hold a ``#``.
            body: the body.
            received_at: seconds since the epoch.

        Raises:
            RefusedError: 413.
        """
        self.check_size(len(body))
        return RawPush(kind, query, body, received_at)
