"""Work that goes on until it is told to end."""

import asyncio
import logging

from infobip_async.concurrency.tasks import LastingTasks, abandon

LOGGER = logging.getLogger("infobip_async.journal")


async def no_time() -> None:
    """A pause that takes none."""
    await asyncio.sleep(0)


async def until_called(calls: list[str], count: int) -> None:
    """Wait until something was called so often."""
    async with asyncio.timeout(60):
        while len(calls) < count:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)


async def test_what_fails_or_is_cancelled_is_begun_again(caplog) -> None:
    """And it is told of; what comes to its end, or is told to end, is not."""
    calls: list[str] = []

    async def work() -> None:
        calls.append("")
        if len(calls) == 1:
            raise ValueError("a fault")
        if len(calls) == 2:
            asyncio.current_task().cancel()
        if len(calls) == 4:
            return
        await asyncio.sleep(0)
        if len(calls) == 3:
            raise asyncio.CancelledError  # without having been cancelled

    lasting = LastingTasks("journal", LOGGER, no_time)
    lasting.start(work)
    await until_called(calls, 4)
    assert await lasting.tasks.drain(60)
    await no_time()
    assert len(calls) == 4
    # Once a minute: an event may bring about the next end as soon as the work has begun again.
    assert caplog.messages == ["a part of the journal has failed: it is begun again"]
    assert "ValueError: a fault" in caplog.text


async def test_what_is_told_to_end(caplog) -> None:
    """It ends, however that goes."""
    calls: list[str] = []

    async def work() -> None:
        calls.append("")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError from None

    lasting = LastingTasks("journal", LOGGER, no_time)
    lasting.start(work)
    await until_called(calls, 1)
    await lasting.end()
    await no_time()
    assert (len(calls), len(lasting.tasks), caplog.messages) == (1, 0, [])


async def test_what_does_not_end_is_abandoned() -> None:
    """Nobody waits for it, not even the runner of the event loop; the others have ended."""
    release = asyncio.Event()

    async def refuse() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    refusing, other = (asyncio.create_task(one) for one in (refuse(), release.wait()))
    await no_time()
    assert await abandon([refusing, other], 0.001) == 1
    assert other.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert await abandon([], 1_000) == 0
    release.set()
    await refusing


def test_a_program_ends_without_it() -> None:
    """A runner of event loops cancels what it knows, and would wait for its end."""
    refused: list[str] = []

    async def refuse() -> None:
        while len(refused) < 1_000:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                refused.append("")

    async def main() -> None:
        task = asyncio.create_task(refuse())
        await no_time()
        assert await abandon([task], 0.001) == 1
        task._log_destroy_pending = False  # else Python says so

    asyncio.run(main())
    assert len(refused) == 1
