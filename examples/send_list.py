"""Send a text to everyone on a list; after a crash, start it again and it goes on where it was.

The list is a CSV with the columns ``id``, ``number`` and ``name``. Beside it, a job file keeps
what was intended and what became of it, so that nobody gets a text twice.
"""

import asyncio
import csv
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from infobip_async import InfobipClient, Outgoing, SendOutcome, TextMessage


def reminders(path: Path) -> Iterator[Outgoing]:
    """Read one row after the other: a list of any length takes no more memory."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            text = f"{row['name']}, see you tomorrow!"
            # The key tells the item from others, wherever it stands in the list.
            yield Outgoing(TextMessage(text, "Dentist"), row["number"], key=row["id"])


async def main(path: Path) -> int:
    """Send, and give the exit code: 0 where everyone was sent their text."""
    job = path.with_suffix(".job")
    outcomes: Counter[SendOutcome] = Counter()
    async with InfobipClient.from_env() as client:
        async for result in client.send_many(reminders(path), job=job, rate=50):
            outcomes[result.outcome] += 1
            if result.outcome is not SendOutcome.SENT:
                print(f"{result.item.recipient}: {result.outcome.value}: {result.reason}")

        # What may have been sent or not is not sent again. Reports on it can prove that it was.
        if outcomes[SendOutcome.UNKNOWN]:
            proven = await client.reconcile(job=job)
            print(f"{len(proven)} of the unknown ones were sent after all")
            outcomes[SendOutcome.SENT] += len(proven)
            outcomes[SendOutcome.UNKNOWN] -= len(proven)
    print(", ".join(f"{count} {outcome.value}" for outcome, count in outcomes.items()))
    return 0 if outcomes.total() == outcomes[SendOutcome.SENT] else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
