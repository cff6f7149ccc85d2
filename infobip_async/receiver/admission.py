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
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import attrs

from infobip_async.protocol.exchange import PushKind, RawPush

_METHODS: Final = {
    PushKind.DELIVERY_REPORTS: "POST",
    PushKind.HLR_REPORTS: "POST",
    PushKind.INBOUND_SMS: "GET",
}
_KINDS: Final = {kind.value: kind for kind in PushKind}
_NOT_ENCODED: Final = frozenset({"", "identity"})
_DIGITS: Final = 18  # of a length: more of them are too many octets for any limit


@attrs.frozen(kw_only=True)
class Limits:
    """What one push may cost.

    Attributes:
        body_bytes: most octets of a body; a bigger one is refused with 413.
        rows: most rows of a body. A push with more is refused with 400 as unreadable, or goes into
            the quarantine of the journal.
        read_seconds: seconds that a body may take to arrive; a slower one is refused with 408.
    """

    body_bytes: int = 2 * 1024 * 1024
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
        self.headers = headers or {}

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
    if status is not HTTPStatus.OK:
        return _text(status)
    return "" if kind is PushKind.INBOUND_SMS else "OK"


def _text(status: HTTPStatus) -> str:
    return f"{status.value}: {status.phrase}"


def _prefixes(secrets: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(f"{secret}/".encode() for secret in secrets) or (b"",)


@attrs.frozen
class Admission:
    """Decides which requests are pushes of the gateway's, and how big they may be.

    Attributes:
        secrets: the secrets that paths may begin with; without any, paths have no segment for one.
        body_bytes: most octets of a body.
    """

    _prefixes: Sequence[bytes] = attrs.field(alias="secrets", converter=_prefixes, repr=False)
    body_bytes: int

    def admit(
        self, method: str, tail: str, raw_path: str, headers: Iterable[tuple[str, str]]
    ) -> PushKind:
        """Judge the head of a request. A wrong secret is found before anything else shows.

        Args:
            method: the method of the request.
            tail: the path behind the mount point and its slash, decoded.
            raw_path: the whole path as it was sent.
            headers: names, in any case of letters, and values.

        Returns:
            What the push brings.

        Raises:
            RefusedError: 404 for a wrong secret and a wrong path alike, 405, 413 or 415.
        """
        prefix, slash, name = tail.rpartition("/")
        given = (prefix + slash).encode("utf-8", "surrogatepass")
        # All are compared, so that the time does not tell how near the given one was.
        authentic = True in [hmac.compare_digest(given, known) for known in self._prefixes]
        kind = _KINDS.get(name)
        # Encoded characters stand for other paths: %2F is no slash.
        plain = raw_path.endswith(tail)
        if not authentic or kind is None or not plain:
            raise RefusedError(HTTPStatus.NOT_FOUND)
        if method != _METHODS[kind]:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": _METHODS[kind]})
        self._check_headers(headers)
        return kind

    def _check_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        for name, value in headers:
            match name.lower():
                case "content-encoding":
                    if value.strip().lower() not in _NOT_ENCODED:
                        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
                # A length that is no number is the server's to refuse; the body is measured anyway.
                case "content-length" if value.isdecimal():
                    self.check_size(int(value[:_DIGITS]))

    def check_size(self, octets: int) -> None:
        """Judge the size of a body, or of what has arrived of it.

        Raises:
            RefusedError: 413.
        """
        if octets > self.body_bytes:
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
