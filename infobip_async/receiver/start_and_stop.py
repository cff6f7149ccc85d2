"""A receiver and what lives beside it: started and stopped together, in the right order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, TypeAlias, TypeVar

from infobip_async.concurrency.stop_deadline import stopping_by
from infobip_async.redaction import logger_of_faults

T = TypeVar("T")

_logger = logger_of_faults("infobip_async.receiver")

# By when the parts, what they use, and the receiver must have ended. Reports that never come must
# not take the time in which handlers of the receiver end.
_PARTS: Final = 0.5
_BASE: Final = 0.75

Part: TypeAlias = AbstractAsyncContextManager[object]
"""A part of a program that lives beside a receiver. It is entered before the receiver listens, and
left before the receiver stops. Its exit begins nothing new, and takes no longer than
`infobip_async.concurrency.stop_deadline.time_to_stop` says."""


@asynccontextmanager
async def serving(
    receiver: AbstractAsyncContextManager[T], *parts: Part, stop_timeout: float = 25.0
) -> AsyncIterator[T]:
    """Run a receiver with what lives beside it, and stop all of it within one deadline.

    ::

        async with serving(listening(app, port=8080), lookups, deliveries, client) as base_url:
            ...

    All parts but the last stop first, together: nothing new goes out, and what is out still hears
    its reports, since the receiver is there. Then the last one stops, which the others use: the
    client, whose requests in flight are finished. Then the receiver stops, and its journal last.

    Args:
        receiver: `infobip_async.webhook.listening`, or ``serving()`` of an ASGI receiver.
        parts: `HlrLookups`, `InfobipClient` and others that are used as context managers, with
            what they use behind them. They are entered here.
        stop_timeout: seconds that the whole stop may take. It takes the place of the
            ``stop_timeout`` of each part.

    Returns:
        What `receiver` gives.
    """
    async with AsyncExitStack() as start:
        for part in reversed(parts):
            await start.enter_async_context(part)
        served = await receiver.__aenter__()
        start.pop_all()
    fault: BaseException | None = None
    try:
        yield served
    except BaseException as raised:
        fault = raised
        raise
    finally:
        begun = asyncio.get_running_loop().time()
        try:
            await _leave(parts[:-1], fault, begun + _PARTS * stop_timeout)
            await _leave(parts[-1:], fault, begun + _BASE * stop_timeout)
        finally:
            with stopping_by(begun + stop_timeout):
                await receiver.__aexit__(*_details(fault))


async def _leave(parts: Sequence[Part], fault: BaseException | None, deadline: float) -> None:
    """Leave parts together. One that cannot be left keeps no other from being left."""
    with stopping_by(deadline):
        exits = (part.__aexit__(*_details(fault)) for part in parts)
        for end in await asyncio.gather(*exits, return_exceptions=True):
            if isinstance(end, Exception) and end is not fault:
                _logger.error("a part of the program cannot be stopped", exc_info=end)


def _details(
    fault: BaseException | None,
) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None]:
    return (type(fault), fault, fault.__traceback__) if fault else (None, None, None)
