"""Reports that are pulled again and again, and given to the handlers of a router (§3.2)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import attrs

from infobip_async.errors import GatewayRefusedError, StorageUnavailableError
from infobip_async.models.events import DeliveryReport
from infobip_async.redaction import logger_of_faults
from infobip_async.router import Router

if TYPE_CHECKING:
    from infobip_async.client.client import InfobipClient

_LONGEST_PAUSE: Final = 3600.0
"""Seconds between two tries while the gateway refuses, at most."""

_logger = logger_of_faults("infobip_async.deliveries")


@attrs.frozen
class Polling:
    """Pulls reports for the handlers of a router.

    Attributes:
        client: pulls.
        router: has the handlers, of `UnreadableRow` as well.
        sleep: waits for seconds.
        clock: gives the time in seconds since the epoch.
    """

    client: "InfobipClient"
    router: Router
    sleep: Callable[[float], Awaitable[None]]
    clock: Callable[[], float]

    async def poll(self, interval: float) -> None:
        """Pull until the client is closed.

        Raises:
            GatewayRefusedError: the gateway refuses, such as a wrong password.
        """
        reports = self.client.poll_reports(interval=interval, router=self.router)
        async with aclosing(reports):
            async for report in reports:
                while not await self._is_taken(report):  # noqa: ASYNC110 - the store tells nobody
                    await asyncio.sleep(interval)

    async def keep_on(self, interval: float) -> None:
        """Pull until the client is closed; a refusal is told once, and asked about less often.

        A password that is wrong now can be right again, and reports wait at the gateway meanwhile.
        """
        pause = interval
        told = False
        while True:
            begun = self.clock()
            try:
                return await self.poll(interval)
            except GatewayRefusedError as fault:
                name = type(fault).__name__
            if self.clock() - begun >= interval:  # a pull before was answered
                pause, told = interval, False
            if not told:
                _logger.error("the gateway refuses to give reports: %s", name)
                told = True
            await self.sleep(pause)
            pause = min(2 * pause, max(interval, _LONGEST_PAUSE))

    async def _is_taken(self, report: DeliveryReport) -> bool:
        try:
            await self.router.dispatch([report])
        except ExceptionGroup as faults:
            _logger.exception("handlers failed on a report that was pulled")
            return faults.subgroup(StorageUnavailableError) is None
        return True
