"""Reports that are pulled again and again, and given to the handlers of a router (§3.2)."""

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import attrs

from infobip_async.errors import GatewayRefusedError, StorageUnavailableError
from infobip_async.models.events import DeliveryReport
from infobip_async.redaction import logger_of_faults
from infobip_async.router import Router

if TYPE_CHECKING:
    from infobip_async.client.reports import ReportQueue, Sleep

_LONGEST_PAUSE: Final = 3600.0
"""Seconds between two tries while the gateway refuses, at most."""

_logger = logger_of_faults("infobip_async.deliveries")


def _nothing() -> None:
    """Tell nobody."""


@attrs.frozen
class Polling:
    """Pulls reports for the handlers of a router.

    Attributes:
        queue: of the client that pulls.
        router: has the handlers, of `UnreadableRow` as well.
        sleep: waits for seconds.
    """

    queue: "ReportQueue"
    router: Router
    sleep: "Sleep"

    async def poll(self, interval: float, answered: Callable[[], None] = _nothing) -> None:
        """Pull until the client is closed.

        A report that the store does not take is held until it does. If the poll is left meanwhile,
        the next one has it.

        Args:
            interval: seconds between two pulls.
            answered: is called for each pull that the gateway answers.

        Raises:
            GatewayRefusedError: the gateway refuses, such as a wrong password.
        """
        waiting = self.queue.waiting
        async with aclosing(self.queue.pulls(interval, self.router, self.sleep)) as pulls:
            async for has_answer in pulls:
                if has_answer:
                    answered()
                while waiting:
                    report = waiting.popleft()
                    with self.queue.kept([report]):
                        while not await self._is_taken(report):
                            await self.sleep(interval)

    async def keep_on(self, interval: float) -> None:
        """Pull until the client is closed; a refusal is told once, and asked about less often.

        A password that is wrong now can be right again, and reports wait at the gateway meanwhile.
        """
        refusals = 0

        def answered() -> None:
            nonlocal refusals
            refusals = 0

        while True:
            try:
                return await self.poll(interval, answered)
            except GatewayRefusedError as fault:
                name = type(fault).__name__
            if not refusals:
                _logger.error("the gateway refuses to give reports: %s", name)
            longest = max(interval, _LONGEST_PAUSE)
            await self.sleep(min(2.0**refusals * interval, longest))
            refusals += 1

    async def _is_taken(self, report: DeliveryReport) -> bool:
        try:
            await self.router.dispatch([report])
        except ExceptionGroup as faults:
            _logger.exception("handlers failed on a report that was pulled")
            return faults.subgroup(StorageUnavailableError) is None
        return True
