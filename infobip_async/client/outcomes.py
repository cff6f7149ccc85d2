"""What an exchange means to the caller: an answer, a refusal, or one of the two ways to fail.

`Outcomes.read` is for requests that change nothing at the gateway: an unreadable reply to them is
only unreadable. `Outcomes.submit` is for sends and queries: there it leaves the outcome unknown.
"""

import logging
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import attrs

from infobip_async.client.in_flight import InFlight
from infobip_async.client.transport import HttpSender
from infobip_async.concurrency.big_work import aside
from infobip_async.errors import (
    AuthenticationError,
    InfobipError,
    NotEnoughCreditsError,
    OutcomeUnknownError,
    RemoteProtocolError,
)
from infobip_async.protocol.exchange import HttpReply, HttpRequest
from infobip_async.redaction import SparseLogger
from infobip_async.telemetry.watching import Watch

T = TypeVar("T")

_logger = logging.getLogger("infobip_async.client")
_sparse_logger = SparseLogger(_logger)


def _hash(username: str) -> str:
    """Tell an account from others without its username, as `user.hash` of the conventions does."""
    return sha256(username.encode(errors="backslashreplace")).hexdigest()[:8]


@attrs.frozen
class Outcomes:
    """Makes the exchanges of one client, and says what their replies and failures mean.

    Attributes:
        sender: makes each exchange.
        in_flight: limits them, and lets them finish when their callers are cancelled.
        watch: makes a span and metrics of each.
        account: whose balance replies tell; made of the username.
    """

    sender: HttpSender
    in_flight: InFlight
    watch: Watch
    account: str = attrs.field(converter=_hash)

    async def read(
        self, name: str, encode: Callable[[], HttpRequest], decode: Callable[[HttpReply], T]
    ) -> T:
        """Make an exchange that changes nothing at the gateway.

        Args:
            name: of the client's method.
            encode: makes the request; its errors are raised before anything is sent.
            decode: reads the reply.
        """
        request = _without_traceback(encode)

        async def exchange() -> T:
            with self.watch.operation(name):
                return await self._reply(request, decode)

        return await self.in_flight.run(exchange)

    async def submit(
        self,
        name: str,
        messages: int,
        encoders: Sequence[Callable[[], HttpRequest]],
        decode: Callable[[HttpReply], T],
        message_ids: tuple[str, ...] = (),
    ) -> list[T]:
        """Make exchanges that have an effect at the gateway, one after the other.

        A failure after the first reply leaves the outcome of the whole unknown.

        Args:
            name: of the client's method.
            messages: that are to be sent, or numbers that are to be looked up.
            encoders: make the requests, each in its turn; errors of the first one are raised
                before anything is sent.
            decode: reads a reply.
            message_ids: of all requests, for `OutcomeUnknownError`.
        """
        first = _without_traceback(encoders[0])
        replies: list[T] = []

        async def exchange() -> list[T]:
            with self.watch.operation(name, messages):
                for encode in (lambda: first, *encoders[1:]):
                    try:
                        request = _without_traceback(encode)
                        replies.append(await self._reply(request, decode))
                    except InfobipError as fault:
                        _raise_outcome(name, fault, len(replies), message_ids)
                return replies

        return await self.in_flight.run(exchange, message_ids)

    def told_credits(self, credits_left: Decimal | None) -> None:
        """Take the balance that a reply has told."""
        if credits_left is not None and self.watch.active:
            account = {"infobip.account": self.account}
            self.watch.set("infobip.credits", float(credits_left), account)

    async def _reply(self, request: HttpRequest, decode: Callable[[HttpReply], T]) -> T:
        """Send a request, and read its reply.

        Raises:
            RemoteProtocolError: the HTTP status is not 2xx, or the reply cannot be read: it is no
                answer of the gateway's, and its address may be wrong.
        """
        reply = await self.sender.send(request)
        where = _place(request.url)
        if self.sender.proxied and where.startswith("http:"):
            where += " or the proxy"
        if not reply.successful:
            told = f"HTTP {reply.status} from {where}: is the address right?"
            if reply.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                told = f"HTTP {reply.status} from the proxy: is its login right?"
            elif reply.status == HTTPStatus.TOO_MANY_REQUESTS:
                told = f"HTTP {reply.status} from {where}: is the rate too high?"
            raise RemoteProtocolError(told, raw=reply.body, status=reply.status)
        try:
            read = partial(_without_traceback, partial(decode, reply))
            return await aside(len(reply.body), read)  # a big one beside the event loop
        except RemoteProtocolError as fault:
            told = f"{fault}, from {where}: is the address right?"
            raise RemoteProtocolError(told, raw=fault.raw, status=fault.status) from None


def _place(url: str) -> str:
    """The address of a request, without user, password and query, which are secret."""
    scheme, netloc, path, _, _ = urlsplit(url)
    return f"{scheme}://{netloc.rpartition('@')[2]}{path}"


def _without_traceback(make: Callable[[], T]) -> T:
    """Cut the traceback off: frames inside hold the password, or a gateway's echo of it."""
    try:
        return make()
    except InfobipError as fault:
        raise fault.with_traceback(None) from None


def _raise_outcome(
    name: str, fault: InfobipError, done: int, message_ids: tuple[str, ...]
) -> NoReturn:
    """Raise the error that a failed exchange means to the caller, and log what an operator asks."""
    if done or isinstance(fault, OutcomeUnknownError | RemoteProtocolError):
        why = f"{done} of several parts were sent, then" if done else "the outcome is unknown"
        ids, extra = (
            ", ".join(message_ids) or "none",
            {"operation": name, "message_ids": message_ids},
        )
        text = "the outcome of %s is unknown (message ids: %.200s)"
        _logger.warning(text, name, ids, extra=extra)
        raise OutcomeUnknownError(f"{why}: {fault}", message_ids=message_ids) from fault
    if isinstance(fault, AuthenticationError | NotEnoughCreditsError):
        extra = {"operation": name, "error": type(fault).__name__}
        _sparse_logger.error(
            "the gateway refused the account: %s", type(fault).__name__, extra=extra
        )
    raise fault
