"""Bulk sends in processes of their own, which can be killed.

It reads orders, one JSON object on each line. For each it forks a child that sends with a job,
prints the child's process id, and when the child has ended its exit status.
"""

import asyncio
import json
import os
import signal
import sys
from io import FileIO
from typing import Any

from infobip_async import Endpoints, InfobipClient, Outgoing, TextMessage
from infobip_async.bulk.job import SendJob
from infobip_async.bulk.run import BulkSend

POINTS = {
    "intent": (SendJob, "intend"),
    "request": (InfobipClient, "send"),
    "outcome": (SendJob, "record"),
}
"""After what a child can kill itself: an intent is kept, a request answered, an outcome kept."""

PROTECTIONS = {
    "intent": (SendJob, "intend"),
    "refusal to repeat": (BulkSend, "_is_settled"),
    "outcome": (SendJob, "record"),
}
"""What can be taken away, and the method that it is."""


def die_after(point: str, calls: int) -> None:
    """Kill this process as soon as a method has returned so many times."""
    owner, name = POINTS[point]
    method = getattr(owner, name)
    left = iter(range(calls - 1))

    async def call(*args: Any, **kwargs: Any) -> object:
        result = await method(*args, **kwargs)
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, call)


def take_away(protection: str) -> None:
    """Do nothing where a job protects."""
    owner, name = PROTECTIONS[protection]

    async def nothing(*_: Any, **__: Any) -> None: ...

    setattr(owner, name, nothing if owner is SendJob else lambda *_: False)


async def send(order: dict[str, Any], outcomes: FileIO) -> None:
    """Send, and write each outcome to a file at once."""
    message = TextMessage("Hello", "Friend")
    numbers = (f"385{number:08}" for number in range(order["items"]))
    items = (Outgoing(message, number, f"key {number}") for number in numbers)
    endpoints = Endpoints.at(order["base_url"])
    async with InfobipClient("user", "password", endpoints=endpoints) as client:
        async for result in client.send_many(items, **order["options"]):
            line = [result.item.recipient, result.outcome.name]
            outcomes.write(json.dumps(line).encode() + b"\n")


def main() -> None:
    """Fork a child for each order."""
    for line in sys.stdin:
        order = json.loads(line)
        if child := os.fork():
            os.write(1, b"%d\n" % child)
            os.write(1, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            continue
        if order["without"]:
            take_away(order["without"])
        if order["point"]:
            die_after(order["point"], order["calls"])
        asyncio.run(send(order, FileIO(order["outcomes"], "w")))
        os._exit(0)


if __name__ == "__main__":
    main()
