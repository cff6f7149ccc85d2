"""Parts of inbound messages that nothing but memory holds, joined for handlers of whole messages.

Parts of messages from a journal are joined in `infobip_async.journal.parts`: there they are
on disk, and are handled again one by one. Both go by `infobip_async.text.reassembly`, which says
which parts belong together and when a message is given up.
"""

import math
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence

import attrs

from infobip_async.models.events import InboundSms, UnreadableRow
from infobip_async.router import Router
from infobip_async.text.reassembly import Parts


@attrs.define
class PartsInMemory:
    """Hands messages to a router when all their parts have come, or when these are too late.

    Attributes:
        router: has the parts that wait, so that all receivers of one router share them, and the
            handlers of whole messages.
    """

    router: Router

    async def add(self, part: InboundSms, now: float) -> Sequence[Exception]:
        """Take a part in, and hand on the message that it completes.

        If the handlers of that message fail, the part is taken back and the others wait again: the
        gateway repeats a push that was not acknowledged, and then the message is whole once more.

        Args:
            part: has just arrived.
            now: seconds on a clock that does not go back.

        Returns:
            What the handlers of that message raised. Another message that has to make room is
            handed on, too, but what its handlers raise is no fault of this part.
        """
        collected = self.router.reassembler.collect(part, now)
        outcomes = await self._hand_on(collected, part, now)
        return [one for missing, faults in outcomes if not missing for one in faults]

    async def expire(self, now: float) -> None:
        """Hand on the messages whose missing parts are late.

        Raises:
            ExceptionGroup: what the handlers raised, together.
        """
        outcomes = await self._hand_on(self.router.reassembler.take_due(now), None, now)
        if faults := [one for _, faults in outcomes for one in faults]:
            raise ExceptionGroup("handlers failed", faults)

    async def _hand_on(
        self, messages: Iterable[Parts], completing: InboundSms | None, now: float
    ) -> Sequence[tuple[Sequence[int], Sequence[Exception]]]:
        """Hand messages on, and give what each lacks, and what its handlers have raised.

        Those whose handlers fail wait on, and so does the rest if this is cancelled, unless it is
        the end of all waiting: nobody else has their parts.
        """
        left, outcomes = deque(messages), []
        try:
            while left:
                missing, faults = left[0].missing, await self._dispatch(left[0])
                parts = left.popleft()
                if faults:
                    self._take_back(parts, completing, now)
                outcomes.append((missing, faults))
        finally:
            for parts in left if now < math.inf else ():
                self._take_back(parts, completing, now)
        return outcomes

    def _take_back(self, parts: Parts, completing: InboundSms | None, now: float) -> None:
        if completing is None or parts.missing:
            self.router.reassembler.keep(parts, now)
        else:
            self.router.reassembler.withdraw(completing, now)

    async def _dispatch(self, parts: Parts) -> Sequence[Exception]:
        whole = parts.join_or_refuse()
        if isinstance(whole, UnreadableRow):
            return await faults_of(self.router.dispatch([whole]))
        return await faults_of(self.router.dispatch_whole(whole))


async def faults_of(dispatching: Awaitable[None]) -> Sequence[Exception]:
    """Await a dispatch, and give what its handlers raised."""
    try:
        await dispatching
    except ExceptionGroup as group:
        return group.exceptions
    return ()
