"""Tells how many octets two bulk sends hold at the most, one of them over ten times the items.

It is a process of its own, in which nobody else takes memory. Its arguments are the number of
items and, for sends with a job, a folder.
"""

import asyncio
import gc
import itertools
import sys
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from infobip_async import Message, PartReceipt, Recipient, SendReceipt, TextMessage
from infobip_async.bulk.run import BulkSend
from infobip_async.runs.run import Run
from infobip_async.runs.settings import RunSettings


class Forgetful:
    """A gateway that accepts everything and keeps nothing."""

    username = "user"

    async def credits(self) -> Decimal:
        """More than enough."""
        return Decimal(1_000_000)

    def __init__(self) -> None:
        self._ids = itertools.count()

    async def send(self, _: Message, recipients: Sequence[Recipient]) -> SendReceipt:
        """Accept."""
        several = tuple(recipients)
        return SendReceipt(several, (PartReceipt(len(several), Decimal(1), several),))

    def make_message_id(self) -> str:
        """One after the other."""
        return f"id-{next(self._ids)}"

    def message_ids(self, _: Message, message_id: str) -> tuple[str, ...]:
        """Every message goes out in one request."""
        return (message_id,)


async def peak(count: int, job: Path | None) -> int:
    """The octets that a run over so many items holds at the most."""
    messages = [TextMessage(text, "Friend") for text in ("Hello", "Bye")]
    source = ((messages[number % 2], f"385{number:09}") for number in range(count))
    tracemalloc.start()
    try:
        settings = RunSettings(batch_size=100, batch_age=0.05, window=500)
        taken = 0
        async for _ in Run(BulkSend(Forgetful(), source, settings, job=job)):
            taken += 1
        assert taken == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def main(most: str, folder: str | None = None) -> None:
    """Print the two peaks, after a run that fills caches."""
    gc.set_threshold(200, 5, 5)  # garbage is not what is measured
    for count in (1, int(most) // 10, int(most)):
        job = Path(folder, f"job {count}") if folder else None
        print(asyncio.run(peak(count, job)))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
