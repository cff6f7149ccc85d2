"""What the items of a run pass before they are put into requests: the job that knows them."""

from collections.abc import AsyncIterable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from infobip_async.concurrency.batching import Batcher
from infobip_async.concurrency.tasks import is_cancelled_from_outside
from infobip_async.errors import InfobipError, LocalProtocolError
from infobip_async.runs.flow_control import FlowControl

if TYPE_CHECKING:
    from infobip_async.concurrency.window import Window

Item = TypeVar("Item")
"""An item of a source, with its key."""
Record = TypeVar("Record")
"""What a job knows of an item."""
Item_contra = TypeVar("Item_contra", contravariant=True)
Record_contra = TypeVar("Record_contra", contravariant=True)


class Job(Protocol[Item_contra, Record]):
    """What remembers the items of a run: a file, or something in its place."""

    async def __aenter__(self) -> Self:
        """Open it."""

    async def __aexit__(self, *_: object) -> None:
        """Close it."""

    async def exists(self) -> bool:
        """Whether anything is remembered yet."""

    async def meet(
        self, items: Sequence[Item_contra], /
    ) -> tuple[list[Record | None], LocalProtocolError | None]:
        """Make items known to the job, in the order of the source, up to one that differs.

        Returns:
            What is known of each item, None where it is new; and the difference, if there is one:
            the item behind those is another than the job has under its key.
        """

    async def check_end(self, rows: int, /) -> LocalProtocolError | None:
        """Tell of a source that ends before the job does.

        Args:
            rows: rows of the source whose key is their position.
        """


class Taker(Protocol[Item_contra, Record_contra]):
    """What screened items are handed to."""

    @property
    def flow(self) -> FlowControl:
        """Tells whether anything goes out; it is ended where the source is not the job's."""

    @property
    def window(self) -> "Window[Any, Any]":
        """Where results go."""

    async def take(self, item: Item_contra, record: Record_contra | None, /) -> None:
        """Have an item go out, or report what is known of it."""

    def leave_out(self, item: Item_contra, why: InfobipError, /) -> None:
        """Report an item that does not go out, since the source is not the job's."""

    def finish(self) -> None:
        """Know that no item comes any more."""

    def fail(self, fault: BaseException) -> None:
        """End the run with something that is no outcome."""


class Screening(Generic[Item, Record]):
    """Looks at items in their order, as many at once as were read meanwhile.

    Args:
        taker: gets them.
        job: knows what became of items in earlier runs; None without a job.
    """

    def __init__(self, taker: Taker[Item, Record], job: Job[Item, Record] | None) -> None:
        self._taker = taker
        self._job = job
        self._differs = False
        self._reading: Batcher[Sequence[Item] | int] = Batcher(self._screen)

    def add(self, items: Sequence[Item]) -> None:
        """Have items looked at."""
        self._reading.add(items)

    def end(self, rows: int) -> None:
        """Have the end of the source noticed, behind so many rows whose key is their position."""
        self._taker.window.hold()
        self._reading.add(rows)

    async def drain(self, seconds: float) -> None:
        """Wait until what was read has been looked at, for up to so many seconds."""
        await self._reading.drain(seconds)

    async def aclose(self, seconds: float) -> None:
        """Look at what was read, for up to so many seconds, and at nothing after that."""
        await self._reading.aclose(seconds)

    async def _screen(self, several: Sequence[Sequence[Item] | int]) -> None:
        rows = several[-1] if isinstance(several[-1], int) else None
        try:
            await self._compare(
                [one for some in several if not isinstance(some, int) for one in some]
            )
            if rows is not None:
                await self._end(rows)
        except BaseException as fault:  # whatever it is, the run ends with it
            if is_cancelled_from_outside(fault):
                raise
            self._taker.fail(fault)
        finally:
            if rows is not None:
                self._taker.window.free()

    async def _compare(self, items: Sequence[Item]) -> None:
        known: list[Record | None] = []
        difference: LocalProtocolError | None = None
        if self._job is None:
            known = [None] * len(items)
        elif not self._differs and items:  # what is behind a difference must not become known
            known, difference = await self._job.meet(items)
        for item, record in zip(items, known, strict=False):
            await self._taker.take(item, record)
        if difference is not None:
            self._differs = True
            self._taker.flow.end(difference)
        for item in items[len(known) :]:
            self._taker.leave_out(item, self._taker.flow.why)

    async def _end(self, rows: int) -> None:
        if self._job is not None and not self._taker.flow.closed:  # else it was not read to its end
            difference = await self._job.check_end(rows)
            if difference is not None:
                self._taker.flow.end(difference)
        self._taker.finish()


async def check_source(
    job: Job[Item, Record],
    items: AsyncIterable[Sequence[Item]],
    rows: Callable[[], int],
) -> None:
    """Compare a whole source with a job that exists; nothing goes out.

    Args:
        job: of the source.
        items: all of them, some at a time.
        rows: gives the number of rows whose key is their position.

    Raises:
        LocalProtocolError: the source is not the job's; names the first row that differs.
    """
    if not await job.exists():
        return
    async with job:
        async for several in items:
            _, difference = await job.meet(several)
            if difference is not None:
                raise difference
        if (difference := await job.check_end(rows())) is not None:
            raise difference
