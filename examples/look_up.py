"""Look numbers up, and say what the answers mean."""

import asyncio
import os
from collections.abc import Iterable

from infobip_async import (
    HlrLookups,
    HlrOutcome,
    InfobipClient,
    LookupTimeoutError,
    Router,
    serving,
)
from infobip_async.numbering import interpret
from infobip_async.webhook import listening, webhook_app

NUMBERS = ["38598303174", "38598514674", "49170111222"]
SECRET = os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string")


async def look_up(lookups: HlrLookups, numbers: Iterable[str]) -> None:
    """Any number of numbers: memory stays the same."""
    async for result in lookups.stream(numbers, timeout=30):
        if result.report is None:
            print(f"{result.destination}: {result.outcome.value} ({result.reason})")
            continue
        meaning = interpret(result.report)
        print(f"{result.destination}: {meaning.operator}, {meaning.imsi_country}")


async def main() -> None:
    router = Router()  # the reports come back through it
    client = InfobipClient.from_env()
    lookups = HlrLookups(client, router)
    receiver = listening(
        webhook_app(router, secret=SECRET), port=int(os.environ.get("PORT", "8080"))
    )
    async with serving(receiver, lookups, client):
        await look_up(lookups, NUMBERS)
        try:
            one = await lookups.lookup(NUMBERS[0], timeout=30)
        except LookupTimeoutError:
            print("no report in time")
        else:
            print(one.outcome is HlrOutcome.REPORTED, one.report)


if __name__ == "__main__":
    asyncio.run(main())
