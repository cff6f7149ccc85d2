"""A program that streams so many numbers, and prints the peaks of its memory before and after.

The gateway in it answers at once, and pushes reports only while the window is nearly full: so the
memory that a window takes is taken from the start.
"""

import asyncio
import itertools
import resource
import sys
from collections import deque
from collections.abc import Sequence

from infobip_async import HlrLookups, HlrReport, HlrStatus, Router
from infobip_async.models import HlrSubmission

WINDOW = 5_000
BATCH = 1_000


class _Gateway:
    """Holds reports back until so many queries wait for theirs, or the numbers are over."""

    def __init__(self, router: Router, count: int) -> None:
        self.router = router
        self.expected = count
        self.waiting: deque[Sequence[HlrSubmission]] = deque()
        self.ids = itertools.count()

    async def submit_hlr(self, destinations: Sequence[str], /) -> Sequence[HlrSubmission]:
        """Accept every number."""
        await asyncio.sleep(0)
        rows = tuple(
            [HlrSubmission(one, True, f"121c0a6b752-1-{next(self.ids)}", "OK")
             for one in destinations]
        )  # fmt: skip
        self.expected -= len(rows)
        self.waiting.append(rows)
        return rows

    async def push(self) -> None:
        """Push reports in posts of 100, every twentieth twice."""
        while True:
            await asyncio.sleep(0)
            while len(self.waiting) >= WINDOW // BATCH - 1 or (self.waiting and not self.expected):
                rows = self.waiting.popleft()
                for start in range(0, len(rows), 100):
                    reports = [_report(row) for row in rows[start : start + 100]]
                    await self.router.dispatch(reports + reports[::20])


def _report(row: HlrSubmission) -> HlrReport:
    imsi = f"2190{row.destination}"
    return HlrReport(
        row.destination, row.lookup_id or "", HlrStatus.DELIVRD, "DELIVRD", imsi, "385980501", "0"
    )


async def main(count: int) -> None:
    """Stream so many numbers."""
    router = Router()
    gateway = _Gateway(router, count)
    pusher = asyncio.create_task(gateway.push())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    numbers = map(str, range(385980000000, 385980000000 + count))
    taken = 0
    async with HlrLookups(gateway, router, window=WINDOW, batch_size=BATCH) as lookups:
        async for result in lookups.stream(numbers):
            taken += result.report is not None
    pusher.cancel()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(taken, before, after)  # noqa: T201 - what the test reads


asyncio.run(main(int(sys.argv[1])))
