"""Delivery reports pulled from the gateway (§3.2), none of which gets lost on the way."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import tzinfo
from functools import partial
from typing import Final

from infobip_async.client.outcomes import Outcomes
from infobip_async.models import DeliveryReport
from infobip_async.protocol import dlr_pull
from infobip_async.protocol.exchange import Credentials, HttpReply
from infobip_async.redaction import spellings
from infobip_async.router import Router

IDS_AT_ONCE: Final = 50
"""Message ids that one pull asks about when many are: they stand in its URL."""

_logger = logging.getLogger("infobip_async.client")


class ReportQueue:
    """Pulls reports into a queue, from which callers take them.

    The gateway gives each report once, so what a caller does not take, because it was cancelled
    or left its loop, waits for the next one.

    Args:
        outcomes: makes the requests.
        url: where reports are pulled.
        credentials: of the account.
        zone: the gateway's time zone; without it dates are naive.
    """

    def __init__(
        self, outcomes: Outcomes, url: str, credentials: Credentials, zone: tzinfo | None
    ) -> None:
        self._outcomes = outcomes
        self._encode = partial(dlr_pull.encode_request, url, credentials)
        self._password = spellings(credentials.password)
        self._zone = zone
        self.waiting: deque[DeliveryReport] = deque()

    async def pull(self, message_ids: tuple[str, ...] = ()) -> None:
        """Bring reports into the queue, even where the caller is cancelled meanwhile."""
        await self._outcomes.read(partial(self._encode, message_ids), self._keep)

    def _keep(self, reply: HttpReply) -> None:
        for row in dlr_pull.decode_reply(reply, zone=self._zone):
            if isinstance(row, DeliveryReport):
                self.waiting.append(row)
            else:
                # A gateway may repeat the request in it.
                raw = self._password.sub("***", row.raw)
                _logger.warning("an unreadable report was pulled: %s: %r", row.reason, raw)

    async def take(self, message_ids: tuple[str, ...] = ()) -> tuple[DeliveryReport, ...]:
        """Pull, and take what is there: all, or the reports of some messages."""
        await self.pull(message_ids)
        every = tuple(self.waiting)
        self.waiting.clear()
        if not message_ids:
            return every
        wanted = frozenset(message_ids)
        self.waiting.extend(one for one in every if one.message_id not in wanted)
        return tuple(one for one in every if one.message_id in wanted)

    async def reconcile(
        self, message_ids: Iterable[str], router: Router | None
    ) -> dict[str, DeliveryReport]:
        """Ask about messages, some at a time, and hand their reports to a router's handlers."""
        wanted = (message_ids,) if isinstance(message_ids, str) else tuple(message_ids)
        proven: dict[str, DeliveryReport] = {}
        with self.kept(proven):
            for start in range(0, len(wanted), IDS_AT_ONCE):
                reports = await self.take(wanted[start : start + IDS_AT_ONCE])
                proven.update((report.message_id, report) for report in reports)
                if router is not None:
                    await router.dispatch(reports)
        return proven

    @contextmanager
    def kept(self, reports: Mapping[str, DeliveryReport]) -> Iterator[None]:
        """Keep reports for the next call if this one fails: there is no other copy."""
        try:
            yield
        except BaseException:
            self.waiting.extend(reports.values())
            raise
