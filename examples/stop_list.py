"""Send to a list, but to nobody who has texted STOP, before the send or while it goes on.

``stop.txt`` has one number a line, in any form, so that a person can add to it.
"""

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

from infobip_async import InboundSms, InfobipClient, LocalProtocolError, Router
from infobip_async.lists import read_exclusions, read_list
from infobip_async.numbering import normalise
from infobip_async.webhook import listening, webhook_app

SECRET = os.environ.get("INFOBIP_WEBHOOK_SECRET", "long-random-string")


class StopList:
    """The numbers that get nothing: a container for ``exclude=``, and a handler of inbound SMS."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path = path
        self._numbers = set(read_exclusions(path))

    def __contains__(self, number: object) -> bool:
        return number in self._numbers

    async def received(self, sms: InboundSms) -> None:
        """Take a STOP; the gateway gets its 200 once the number is in the file."""
        if (sms.text or "").strip().upper() != "STOP":
            return
        try:
            number = normalise(sms.sender)
        except LocalProtocolError:
            return  # a sender of letters cannot be sent to anyway
        self._numbers.add(number)
        await asyncio.to_thread(self._write, number)

    def _write(self, number: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())


async def send(people: Path, stopped: StopList) -> None:
    listed = read_list(people, recipient="number", country="HR")
    messages = listed.messages("{name}, our sale begins today. STOP ends this.", sender="Shop")
    outcomes: Counter[str] = Counter()
    async with InfobipClient.from_env() as client:
        async for result in client.send_many(messages, exclude=stopped, rate=50):
            outcomes[result.outcome.value] += 1
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))


async def main(people: Path, port: int = 8080) -> None:
    stopped, router = StopList(people.with_name("stop.txt")), Router()
    router.on(InboundSms)(stopped.received)
    async with listening(webhook_app(router, secret=SECRET), "127.0.0.1", port):
        await send(people, stopped)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
