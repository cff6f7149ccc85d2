"""How much a bulk send holds."""

import itertools
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from infobip_async import Message, PartReceipt, Recipient, SendReceipt, TextMessage
from infobip_async.bulk.run import BulkSend
from infobip_async.bulk.settings import BulkSettings


class Forgetful:
    """A gateway that accepts everything and keeps nothing."""

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
        results = BulkSend(Forgetful(), source, BulkSettings(window=500, job=job)).results()
        taken = 0
        async for _ in results:
            taken += 1
        assert taken == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("with_job", [False, True])
async def test_memory_does_not_grow_with_the_source(tmp_path: Path, with_job: bool) -> None:
    """20 times the items take no more."""
    most = 20_000 if with_job else 200_000
    small, large = [
        await peak(count, tmp_path / f"job {count}" if with_job else None)
        for count in (most // 20, most)
    ]
    assert large < 1.5 * small
