"""Send to a list, but to nobody whose number stands in ``stop.txt``, even since the run began.

``stop.txt`` has one number a line, in any form, so that a person can add to it; ``two_way.py`` adds
the numbers of those who text STOP.
"""

import asyncio
import os
import re
import sys
from collections import Counter
from pathlib import Path

from infobip_async import InfobipClient
from infobip_async.lists import read_exclusions, read_list

FIRST_WORDS = {"stop", "stopp", "stopall", "unsubscribe"}
ONLY_WORDS = {"end", "quit", "cancel", "ne", "odjava", "nein"}


def says_stop(text: str | None) -> bool:
    """Whether a text asks for an end: ``Stop.``, `` STOPP``, ``stop it!!``, or just ``ne``."""
    words = re.findall(r"[^\W\d_]+", (text or "").casefold())
    return words[:1] in ([word] for word in FIRST_WORDS) or words in ([word] for word in ONLY_WORDS)


class StopList:
    """The numbers that get nothing, in a file: a container for ``exclude=``."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path = path
        self._size = 0
        self._numbers: frozenset[str] = frozenset()
        self._follow()

    def __contains__(self, number: object) -> bool:
        self._follow()
        return number in self._numbers

    async def add(self, number: str) -> None:
        """Add a number; it is on the disk when this returns."""
        if number not in self._numbers:
            await asyncio.to_thread(self._write, number)

    def _follow(self) -> None:
        """Read the file again if it has changed, by this program, another one or a person."""
        if (size := self._path.stat().st_size) != self._size:
            self._numbers, self._size = read_exclusions(self._path), size

    def _write(self, number: str) -> None:
        with self._path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            whole = file.read() in {b"", b"\n"}  # a person may leave out the last line's end
            file.write(b"" if whole else b"\n")
            file.write(f"{number}\n".encode())
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


if __name__ == "__main__":
    listed = Path(sys.argv[1])
    asyncio.run(send(listed, StopList(listed.with_name("stop.txt"))))
