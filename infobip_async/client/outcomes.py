"""What an exchange means to the caller: an answer, a refusal, or one of the two ways to fail.

`Outcomes.read` is for what changes nothing at the gateway: a reply that cannot be read is just
that. `Outcomes.submit` is for sends and queries, where it leaves the outcome unknown.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn, TypeVar

import attrs

from infobip_async.client.in_flight import InFlight
from infobip_async.client.transport import HttpSender
from infobip_async.errors import InfobipError, OutcomeUnknownError, RemoteProtocolError
from infobip_async.protocol.exchange import HttpReply, HttpRequest

T = TypeVar("T")


@attrs.frozen
class Outcomes:
    """The exchanges of one client.

    Attributes:
        sender: makes each of them.
        in_flight: bounds them, and keeps them from being cancelled with their callers.
    """

    sender: HttpSender
    in_flight: InFlight

    async def read(self, encode: Callable[[], HttpRequest], decode: Callable[[HttpReply], T]) -> T:
        """Make an exchange that changes nothing.

        Args:
            encode: makes the request; what it raises is raised before anything is sent.
            decode: reads the reply.
        """
        request = _without_traceback(encode)

        async def exchange() -> T:
            return _without_traceback(partial(decode, await self.sender.send(request)))

        return await self.in_flight.run(exchange)

    async def submit(
        self,
        encoders: Sequence[Callable[[], HttpRequest]],
        decode: Callable[[HttpReply], T],
        message_ids: tuple[str, ...] = (),
    ) -> list[T]:
        """Make one exchange after the other, each of which does something at the gateway.

        A failure after the first reply leaves the whole in doubt.

        Args:
            encoders: make the requests, each when it is its turn; what the first one raises is
                raised before anything is sent.
            decode: reads a reply.
            message_ids: of all requests, for `OutcomeUnknownError`.
        """
        first = _without_traceback(encoders[0])
        replies: list[T] = []

        async def exchange() -> list[T]:
            for request in itertools.chain([first], map(_without_traceback, encoders[1:])):
                try:
                    reply = await self.sender.send(request)
                    replies.append(_without_traceback(partial(decode, reply)))
                except InfobipError as fault:
                    _raise_outcome(fault, len(replies), message_ids)
            return replies

        return await self.in_flight.run(exchange, message_ids)


def _without_traceback(make: Callable[[], T]) -> T:
    """Let no traceback lead inside, where frames hold the password, or a gateway's echo of it."""
    try:
        return make()
    except InfobipError as fault:
        raise fault.with_traceback(None) from None


def _raise_outcome(fault: InfobipError, done: int, message_ids: tuple[str, ...]) -> NoReturn:
    """Raise what a failed exchange means, after so many that were carried out."""
    if done:
        raise OutcomeUnknownError(
            f"{done} of several parts were sent, then: {fault}", message_ids=message_ids
        ) from fault
    if isinstance(fault, OutcomeUnknownError | RemoteProtocolError):
        raise OutcomeUnknownError(
            f"the outcome is unknown: {fault}", message_ids=message_ids
        ) from fault
    raise fault
