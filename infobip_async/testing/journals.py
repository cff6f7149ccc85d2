"""A kit of checks for journals: those of this package, and those on an engine of your own.

A journal is anything with ``put`` and ``serve`` (`infobip_async.journal.Journal`). A journal that
passes every check is fit for `webhook_app`::

    import pytest
    from infobip_async.testing import CHECKS, Check, Engine

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_journal(check: Check, server: MyServer) -> None:
        make = functools.partial(MyJournal, server.url)
        await check(Engine(journal=make, away=server.kill, back=server.start))

Each check needs an empty engine of its own, and journals that try failed handlers again within a
second. A journal that is not fit raises `AssertionError`.
"""

import asyncio
import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection  # noqa: TC003 - so that annotations can be read
from typing import Final

import attrs

from infobip_async.errors import StorageUnavailableError
from infobip_async.journal.base import Journal
from infobip_async.models.events import Event, HlrReport, HlrStatus, InboundSms
from infobip_async.protocol import hlr_dlr
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.push import PushFormat, decode
from infobip_async.router import Router

_PUSHES: Final = 40
_PAUSE: Final = 0.02


@attrs.frozen(kw_only=True)
class Engine:
    """An engine under test.

    Attributes:
        journal: makes a journal on the engine, which has what earlier journals stored there. It is
            called in other processes, too, so it must be picklable: a function of a module, or a
            `functools.partial` of a class.
        away: takes the engine away: stops it, or locks its file. Without it, the checks that need
            it pass.
        back: brings the engine back.
        stores_while_away: whether a journal takes pushes while the engine is away, since it has a
            place of its own for them; otherwise it has to refuse them.
        seconds: how long each step may take. The limit is for what never comes: a busy disk takes
            ten seconds for a single fsync.
    """

    journal: Callable[[], Journal]
    away: Callable[[], Awaitable[None]] | None = None
    back: Callable[[], Awaitable[None]] | None = None
    stores_while_away: bool = False
    seconds: float = 60.0


Check = Callable[[Engine], Awaitable[None]]
"""A coroutine function that raises `AssertionError` if a journal is not fit."""


class Seen:
    """A router with handlers, and what they got.

    Args:
        act: is awaited first, for each event; the handlers raise what it raises.

    Attributes:
        router: the router.
        numbers: how many reports on each number, and messages from it, were handled.
    """

    def __init__(self, act: Callable[[Event], Awaitable[None]] | None = None) -> None:
        self.router: Router = Router()
        self.numbers: Counter[str] = Counter()
        self._act = act
        self.router.on(HlrReport)(self._reported)
        self.router.on(InboundSms)(self._wrote)

    async def _reported(self, report: HlrReport) -> None:
        if self._act:
            await self._act(report)
        self.numbers[report.destination] += 1

    async def _wrote(self, sms: InboundSms) -> None:
        if self._act:
            await self._act(sms)
        self.numbers[sms.sender] += 1

    async def wait_for(self, numbers: Sequence[str], seconds: float) -> None:
        """Wait until events of all the numbers were handled."""
        try:
            async with asyncio.timeout(seconds):
                while not self.numbers.keys() >= set(numbers):  # noqa: ASYNC110 - as below
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            lost = sorted(set(numbers) - self.numbers.keys())
            raise AssertionError(f"never handled: {lost}") from None


def report_on(number: str) -> RawPush:
    """Make a push of an HLR report on a number (§5)."""
    report = HlrReport(number, f"id-{number}", HlrStatus.DELIVRD, "DELIVRD")
    return RawPush(PushKind.HLR_REPORTS, "", hlr_dlr.encode_push([report]), time.time())


def sms_from(number: str) -> RawPush:
    """Make a push of an inbound SMS from a number (§6)."""
    query = f"sender={number}&receiver=41793026727&text=Hello"
    return RawPush(PushKind.INBOUND_SMS, query, b"", time.time())


def some_numbers(count: int = _PUSHES) -> list[str]:
    """Make different numbers."""
    return [f"38598{number:06d}" for number in range(count)]


@asynccontextmanager
async def _serving(engine: Engine, seen: Seen) -> AsyncIterator[Journal]:
    journal = engine.journal()
    async with journal.serve(seen.router, partial(decode, settings=PushFormat())):
        yield journal


async def _put(journal: Journal, push: RawPush, seconds: float) -> None:
    """Put a push as the gateway does: again and again until it is taken."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await journal.put(push)
            except StorageUnavailableError:
                await asyncio.sleep(_PAUSE)
            else:
                return


async def check_pushes_are_handled(engine: Engine) -> None:
    """Every push is handled, once."""
    seen, numbers = Seen(), some_numbers()
    async with _serving(engine, seen) as journal:
        for number in numbers:
            await _put(journal, report_on(number), engine.seconds)
        await seen.wait_for(numbers, engine.seconds)
    expect(max(seen.numbers.values()) == 1, "handled more than once")


async def check_put_then_crash(engine: Engine) -> None:
    """What was put is handled, although the process is killed before it could do so."""
    numbers = some_numbers()
    put = await asyncio.to_thread(_killed, engine, numbers)
    expect(put == numbers, f"put before the crash: {len(put)} of {len(numbers)}")
    seen = Seen()
    async with _serving(engine, seen):
        await seen.wait_for(numbers, engine.seconds)


def _killed(engine: Engine, numbers: Sequence[str]) -> list[str]:
    """Put pushes in a process that is killed then; give the numbers whose put returned."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_put_and_wait, args=(engine.journal, numbers, theirs))
    process.start()
    theirs.close()
    put: list[str] = []
    try:
        with suppress(EOFError):  # it failed
            while len(put) < len(numbers) and ours.poll(engine.seconds):
                put.append(ours.recv())
    finally:
        process.kill()
        process.join()
        ours.close()
    return put


def _put_and_wait(
    make: Callable[[], Journal], numbers: Sequence[str], connection: "Connection[str, str]"
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_put_all(Engine(journal=make), numbers, connection))


def _end_with_parent() -> None:
    """End at once: a clean stop could wait for an engine that died with an interrupted run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


async def _put_all(
    engine: Engine, numbers: Sequence[str], connection: "Connection[str, str]"
) -> None:
    """Put posts, handle none, and wait to be killed."""
    async with _serving(engine, Seen(_hang)) as journal:
        for number in numbers:
            await _put(journal, report_on(number), engine.seconds)
            connection.send(number)
        await asyncio.Event().wait()


async def _hang(_: Event) -> None:
    await asyncio.Event().wait()


async def check_clean_stop(engine: Engine) -> None:
    """What is not handled when a journal is closed is handled by the next one."""
    numbers = some_numbers(3)
    begun = asyncio.Event()

    async def hang(event: Event) -> None:
        begun.set()
        await _hang(event)

    try:
        async with asyncio.timeout(None) as limit, _serving(engine, Seen(hang)) as journal:
            for number in numbers:
                await _put(journal, report_on(number), engine.seconds)
            await asyncio.wait_for(begun.wait(), engine.seconds)
            limit.reschedule(asyncio.get_running_loop().time() + engine.seconds)
    except TimeoutError:
        expect(not limit.expired(), "the stop waits for handlers for too long")
        raise
    seen = Seen()
    async with _serving(engine, seen):
        await seen.wait_for(numbers, engine.seconds)


async def check_same_push_twice(engine: Engine) -> None:
    """A report that comes again is handled once; an inbound SMS that comes again may be real."""
    seen, (report, sms, last) = Seen(), some_numbers(3)
    async with _serving(engine, seen) as journal:
        for _ in range(2):
            await _put(journal, report_on(report), engine.seconds)
            await _put(journal, sms_from(sms), engine.seconds)
        await _put(journal, report_on(last), engine.seconds)
        await seen.wait_for([report, sms, last], engine.seconds)
        await _until(lambda: seen.numbers[sms] == 2, engine.seconds)  # noqa: PLR2004 - twice
    expect(seen.numbers[report] == 1, "a report that came again was handled again")


async def check_same_push_after_restart(engine: Engine) -> None:
    """A report is known again by the next journal."""
    first, last = some_numbers(2)
    seen = Seen()
    for also in ([], [last]):
        async with _serving(engine, seen) as journal:
            for number in (first, *also):
                await _put(journal, report_on(number), engine.seconds)
            await seen.wait_for([first, *also], engine.seconds)
    expect(seen.numbers[first] == 1, "a report that came again was handled again")


async def check_failed_handlers_are_tried_again(engine: Engine) -> None:
    """What a handler fails on comes again, and costs its neighbours nothing."""
    bad, good = some_numbers(2)
    faults = [RuntimeError("as it is to be"), RuntimeError("as it is to be")]

    async def fail(event: Event) -> None:
        if isinstance(event, HlrReport) and event.destination == bad and faults:
            raise faults.pop()

    seen = Seen(fail)
    async with _serving(engine, seen) as journal:
        for number in (bad, good):
            await _put(journal, report_on(number), engine.seconds)
        await seen.wait_for([good, bad], engine.seconds)
    expect(not faults, "a handler that failed was not called again")


async def check_odd_ends_of_handlers(engine: Engine) -> None:
    """Whatever ends a handler is a failure on its event, however many end so."""
    *odd, good = some_numbers(2 * _PUSHES)
    met: set[str] = set()

    async def end(event: Event) -> None:
        if isinstance(event, HlrReport) and event.destination not in {*met, good}:
            met.add(event.destination)
            if len(met) % 2:
                raise SystemExit(1)
            if task := asyncio.current_task():
                task.cancel()
            await asyncio.sleep(0)

    seen = Seen(end)
    async with _serving(engine, seen) as journal:
        for number in (*odd, good):
            await _put(journal, report_on(number), engine.seconds)
        await seen.wait_for([*odd, good], engine.seconds)


async def check_unreadable_push(engine: Engine) -> None:
    """What cannot be read is taken, and stops nothing."""
    seen, (number,) = Seen(), some_numbers(1)
    async with _serving(engine, seen) as journal:
        unreadable = RawPush(PushKind.DELIVERY_REPORTS, "", b"<no report", time.time())
        await _put(journal, unreadable, engine.seconds)
        await _put(journal, report_on(number), engine.seconds)
        await seen.wait_for([number], engine.seconds)


async def check_engine_away_and_back(engine: Engine) -> None:
    """While the engine is away, pushes are refused, or stored elsewhere and not lost."""
    if engine.away is None or engine.back is None:
        return
    seen, numbers = Seen(), some_numbers(6)
    async with _serving(engine, seen) as journal:
        await _put(journal, report_on(numbers[0]), engine.seconds)
        await seen.wait_for(numbers[:1], engine.seconds)
        await engine.away()
        taken = [number for number in numbers[1:4] if await _takes(journal, number, engine)]
        expect(taken == (numbers[1:4] if engine.stores_while_away else []), f"taken: {taken}")
        await engine.back()
        for number in numbers[4:]:
            await _put(journal, report_on(number), engine.seconds)
        await seen.wait_for([*taken, *numbers[4:]], engine.seconds)


async def check_engine_away_at_start(engine: Engine) -> None:
    """A journal can be opened before its engine is there."""
    if engine.away is None or engine.back is None:
        return
    seen, numbers = Seen(), some_numbers(2)
    await engine.away()
    async with _serving(engine, seen) as journal:
        taken = [number for number in numbers[:1] if await _takes(journal, number, engine)]
        expect(taken == (numbers[:1] if engine.stores_while_away else []), f"taken: {taken}")
        await engine.back()
        await _put(journal, report_on(numbers[1]), engine.seconds)
        await seen.wait_for([*taken, numbers[1]], engine.seconds)


def expect(condition: bool, otherwise: str) -> None:
    """Assert, though the interpreter is told to pass over assertions."""
    if not condition:
        raise AssertionError(otherwise)


async def _takes(journal: Journal, number: str, engine: Engine) -> bool:
    try:
        async with asyncio.timeout(engine.seconds):
            await journal.put(report_on(number))
    except StorageUnavailableError:
        return False
    return True


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(_PAUSE)


CHECKS: Final[Sequence[Check]] = (
    check_pushes_are_handled,
    check_put_then_crash,
    check_clean_stop,
    check_same_push_twice,
    check_same_push_after_restart,
    check_failed_handlers_are_tried_again,
    check_odd_ends_of_handlers,
    check_unreadable_push,
    check_engine_away_and_back,
    check_engine_away_at_start,
)
"""All of them."""
