"""What became of the unknown items of a job, as delivery reports tell."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path

from infobip_async.bulk.items import SendOutcome
from infobip_async.bulk.job import Job
from infobip_async.models import DeliveryReport


async def settle_doubts(
    path: str | Path,
    ask: Callable[[Iterable[str]], Awaitable[Mapping[str, DeliveryReport]]],
    proven: dict[str, DeliveryReport],
) -> None:
    """Ask about the items of a job that may have been sent, and write down which ones were.

    Args:
        path: of the job.
        ask: gives the reports that there are, by message id.
        proven: gets them.

    Raises:
        JournalUnavailableError: the job cannot be opened or written.
    """
    async with Job(path) as job:
        async for page in job.in_doubt():
            proven.update(await ask(chain.from_iterable(page.values())))
            sent = [key for key, ids in page.items() if proven.keys() >= set(ids)]
            reason = "a delivery report proves it"
            await job.settle(sent, SendOutcome.SENT, reason, answered=True)
