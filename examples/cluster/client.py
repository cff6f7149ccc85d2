"""A client: looks numbers up, although their reports are pushed to other processes."""

import asyncio
import os
import sys
from collections import Counter

from infobip_async import HlrLookups, InfobipClient, Router
from infobip_async.jetstream import ReportFeed


async def main(first: int, count: int = 1_000) -> None:
    router = Router()
    outcomes: Counter[str] = Counter()
    numbers = [str(first + number) for number in range(count)]
    async with (
        InfobipClient.from_env() as client,
        ReportFeed(os.environ.get("NATS", "nats://127.0.0.1:4222"), router),
        HlrLookups(client, router) as lookups,
    ):
        async for result in lookups.stream(numbers):
            outcomes[result.outcome.value] += 1
    print(f"{numbers[0]} and those that follow: {dict(outcomes)}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
