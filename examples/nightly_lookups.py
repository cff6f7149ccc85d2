"""Look up every number of a list by night, and write what the answers mean to a CSV.

Start it again after a crash, or the next evening: it goes on where it was, and pays for no number
twice. ``python nightly_lookups.py numbers.txt answers.csv``
"""

import asyncio
import csv
import os
import sys
from collections import Counter
from pathlib import Path

from infobip_async import HlrLookups, HlrOutcome, InfobipClient, Router, RunStoppedError
from infobip_async.lists import read_list
from infobip_async.numbering import interpret
from infobip_async.webhook import listening, webhook_app

SECRET = os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string")
RATE = float(os.environ.get("RATE", "200"))  # numbers a second, as agreed with the provider
HOURS = os.environ.get("HOURS", "22:00-06:00") or None  # empty for the whole day


async def look_up(lookups: HlrLookups, source: Path, answers: Path) -> Counter[HlrOutcome]:
    """Give each number of the list one row, whatever became of it."""
    outcomes: Counter[HlrOutcome] = Counter()
    numbers = read_list(source).numbers()
    run = lookups.stream(numbers, timeout=120, job=source.with_suffix(".job"), between=HOURS)
    with answers.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "outcome", "reachable", "operator", "country", "ported"])
        async for result in run:
            outcomes[result.outcome] += 1
            row = [result.destination, result.outcome.value]
            if result.report is not None:
                meaning = interpret(result.report)
                row += [meaning.reachable.value, meaning.operator or ""]
                row += [meaning.imsi_country or "", meaning.ported.value]
            rows.writerow(row)
    return outcomes


async def main(source: Path, answers: Path) -> None:
    router = Router()
    receiver = webhook_app(router, secret=SECRET)
    async with (
        listening(receiver, "127.0.0.1", int(os.environ.get("PORT", "8080"))),
        InfobipClient.from_env() as client,
        HlrLookups(client, router, rate=RATE) as lookups,
    ):
        try:
            outcomes = await look_up(lookups, source, answers)
        except RunStoppedError as stopped:
            sys.exit(f"{stopped}; start again when that is mended")
    print(", ".join(f"{count} {outcome.value}" for outcome, count in outcomes.items()))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
