"""Which coroutines get which events, and what becomes of their failures."""

import asyncio
from functools import partial
from unittest.mock import AsyncMock

import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.models.events import (
    DeliveryReport,
    DeliveryStatus,
    HlrReport,
    HlrStatus,
    InboundSms,
    UdhElement,
    UnreadableRow,
    UserDataHeader,
)
from infobip_async.router import Router

REPORT = DeliveryReport("id-1", DeliveryStatus.SENT, "SENT")
LATER = DeliveryReport("id-2", DeliveryStatus.SENT, "SENT")
LOOKED_UP = HlrReport("38598", "lookup-1", HlrStatus.DELIVRD, "DELIVRD")


class Recorder:
    """Makes handlers that note what they got."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    def handler(self, name: str, fault: BaseException | None = None):
        """A handler that notes its call, and then fails if it is to."""

        async def handle(event: object) -> None:
            self.calls.append((name, event))
            if fault:
                raise fault

        return handle


@pytest.fixture
def router() -> Router:
    """A router without handlers."""
    return Router()


@pytest.fixture
def recorder() -> Recorder:
    """What the handlers got."""
    return Recorder()


async def coroutine(_: object) -> None:
    """What a handler should be."""


def returning(event: object):
    """A plain function that gives a coroutine."""
    return coroutine(event)


def plain(event: object) -> None:
    """A plain function that does its work."""
    if event is None:
        return
    str(event)


def generator(event: object):
    """A function that would never begin."""
    yield event


async def async_generator(event: object):
    """Likewise."""
    yield event


class Object:
    """Its instances are handlers, and so are its methods."""

    async def __call__(self, _: object) -> None:
        """Do nothing."""

    async def method(self, _: object) -> None:
        """Do nothing."""

    def plain(self, _: object) -> None:
        """Do nothing."""


GOOD = [
    coroutine,
    returning,
    lambda event: asyncio.gather(coroutine(event)),
    partial(coroutine),
    partial(partial(returning)),
    Object(),
    Object().method,
    AsyncMock(),
]
BAD = [
    None,
    "handler",
    plain,
    partial(plain, 1),
    lambda _: None,
    lambda _: 1,
    generator,
    async_generator,
    Object().plain,
    [].append,
    print,
]


@pytest.mark.parametrize("handler", BAD, ids=map(str, range(len(BAD))))
def test_what_gives_nothing_to_await_is_refused(router, handler):
    """Where it is registered: its work would be done, and every push would get a 500."""
    for register in (router.on(InboundSms), router.on(InboundSms, whole=True)):
        with pytest.raises(LocalProtocolError, match="gives nothing to await; write async def"):
            register(handler)
    assert not router.handles(InboundSms)


@pytest.mark.parametrize("handler", GOOD, ids=map(str, range(len(GOOD))))
async def test_what_gives_an_awaitable_is_a_handler(router, handler):
    """However it is written; and it can be taken back."""
    assert router.on(InboundSms)(handler) is handler
    await router.dispatch([InboundSms("1")])
    router.off(InboundSms, handler)
    assert not router.handles(InboundSms)


async def test_a_plain_function_that_cannot_be_told_apart(router):
    """It has done its work when it returns."""
    seen = []
    router.on(InboundSms)(lambda event: seen.append(event) or None)
    router.on(InboundSms, batch=2)(lambda events: seen.extend(events) or None)
    await router.dispatch([InboundSms("1")])
    assert seen == [InboundSms("1")] * 2


@pytest.mark.parametrize("event", [str, None, object, InboundSms("1")])
def test_what_is_no_type_of_event(router, event):
    """A handler that would never be called is refused."""
    with pytest.raises(LocalProtocolError, match="no type of event"):
        router.on(event)


async def test_by_type(router, recorder):
    """Each event goes to the handlers of its own type, in the order of events and handlers."""
    router.on(DeliveryReport)(recorder.handler("a"))
    router.on(HlrReport)(recorder.handler("b"))
    router.on(DeliveryReport)(recorder.handler("c"))

    await router.dispatch([REPORT, InboundSms("1"), LOOKED_UP, LATER])

    assert recorder.calls == [
        ("a", REPORT),
        ("c", REPORT),
        ("b", LOOKED_UP),
        ("a", LATER),
        ("c", LATER),
    ]


async def test_the_decorated_function_stays_itself(router, recorder):
    """Registering a function does not change it, so that it can be registered for more."""
    handler = recorder.handler("a")

    assert router.on(DeliveryReport)(router.on(HlrReport)(handler)) is handler
    await router.dispatch([LOOKED_UP, REPORT])

    assert recorder.calls == [("a", LOOKED_UP), ("a", REPORT)]


async def test_all_run_though_some_fail(router, recorder):
    """A failure keeps no other handler and no other event from its turn."""
    faults = [ValueError("first"), KeyError("second")]
    router.on(DeliveryReport)(recorder.handler("a", faults[0]))
    router.on(DeliveryReport)(recorder.handler("b"))
    router.on(HlrReport)(recorder.handler("c", faults[1]))

    with pytest.raises(ExceptionGroup, match="handlers failed") as caught:
        await router.dispatch([REPORT, LOOKED_UP])

    assert recorder.calls == [("a", REPORT), ("b", REPORT), ("c", LOOKED_UP)]
    assert list(caught.value.exceptions) == faults


class PanicError(BaseException):
    """As extensions in other languages raise it."""


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit(1), PanicError()])
async def test_what_would_end_the_program(router, recorder, fault):
    """It is a failure like any other: the program would end at each attempt."""
    router.on(DeliveryReport)(recorder.handler("a", fault))
    router.on(DeliveryReport)(recorder.handler("b"))

    with pytest.raises(ExceptionGroup) as caught:
        await router.dispatch([REPORT])

    assert recorder.calls == [("a", REPORT), ("b", REPORT)]
    (failure,) = caught.value.exceptions
    assert str(failure) == f"a handler raised {type(fault).__name__}"
    assert failure.__cause__ is fault


def test_a_dispatch_that_nobody_runs_any_more(router, recorder):
    """Python closes it, and it awaits no other handler."""

    @router.on(DeliveryReport)
    async def hang(_: DeliveryReport) -> None:
        await asyncio.Future(loop=loop)

    router.on(DeliveryReport)(recorder.handler("b"))
    loop = asyncio.new_event_loop()
    dispatching = router.dispatch([REPORT])
    dispatching.send(None)
    dispatching.close()
    loop.close()
    assert recorder.calls == []


async def test_off(router, recorder):
    """A handler that was taken back gets nothing more; taking back another changes nothing."""
    gone, kept = recorder.handler("a"), recorder.handler("b")
    router.on(DeliveryReport)(gone)
    router.on(DeliveryReport)(kept)

    router.off(DeliveryReport, gone)
    router.off(DeliveryReport, gone)
    router.off(HlrReport, kept)
    await router.dispatch([REPORT])

    assert recorder.calls == [("b", REPORT)]


async def test_a_handler_that_takes_itself_back(router, recorder):
    """Handlers may come and go while an event is handed round; it goes to those that were there."""

    @router.on(DeliveryReport)
    async def once(report: DeliveryReport) -> None:
        router.on(DeliveryReport)(recorder.handler("new"))
        router.off(DeliveryReport, once)

    router.on(DeliveryReport)(recorder.handler("other"))
    await router.dispatch([REPORT, LATER])

    assert recorder.calls == [("other", REPORT), ("other", LATER), ("new", LATER)]


def test_handles(router, recorder):
    """A router tells which types of events it has handlers for."""
    handler = recorder.handler("a")
    assert not router.handles(UnreadableRow)

    router.on(UnreadableRow)(handler)
    assert router.handles(UnreadableRow)
    assert not router.handles(DeliveryReport)

    router.off(UnreadableRow, handler)
    assert not router.handles(UnreadableRow)


async def test_nothing_to_do(router):
    """No event, or an event that nobody asked for, is no failure."""
    await router.dispatch([])
    await router.dispatch([REPORT])


def test_repr(router, recorder):
    """The repr of a router stays short."""
    router.on(DeliveryReport)(recorder.handler("a"))

    assert repr(router) == "Router()"


async def test_batches(router, recorder):
    """A batch handler gets the neighbours of its type at once, up to its size, after the others."""
    router.on(DeliveryReport, batch=2)(recorder.handler("pairs"))
    router.on(DeliveryReport, batch=5)(recorder.handler("fives"))
    router.on(DeliveryReport)(recorder.handler("each"))

    await router.dispatch([REPORT, LATER, REPORT, LOOKED_UP, LATER])

    assert recorder.calls == [
        *(("each", report) for report in (REPORT, LATER, REPORT, LATER)),
        ("pairs", [REPORT, LATER]),
        ("pairs", [REPORT]),
        ("fives", [REPORT, LATER, REPORT]),
        ("pairs", [LATER]),
        ("fives", [LATER]),
    ]


async def test_a_batch_that_fails(router, recorder):
    """One batch that fails keeps no other from its turn."""
    router.on(DeliveryReport, batch=1)(recorder.handler("a", ValueError("no")))

    with pytest.raises(ExceptionGroup) as caught:
        await router.dispatch([REPORT, LATER])

    assert recorder.calls == [("a", [REPORT]), ("a", [LATER])]
    assert len(caught.value.exceptions) == 2


def test_batch_size(router, recorder):
    """The largest batch that a handler asks for is what is best dispatched together."""
    assert router.batch_size(DeliveryReport) == 1

    for size in (20, 500, 3):
        router.on(DeliveryReport, batch=size)(recorder.handler("a"))

    assert (router.batch_size(DeliveryReport), router.batch_size(HlrReport)) == (500, 1)


@pytest.mark.parametrize(
    ("event", "settings", "field"),
    [
        (DeliveryReport, {"whole": True}, "whole"),
        (InboundSms, {"whole": True, "batch": 2}, "whole"),
        (DeliveryReport, {"batch": 0}, "batch"),
    ],
)
def test_refused_settings(router, event, settings, field):
    """Only single inbound messages are joined, and a batch is not empty."""
    with pytest.raises(LocalProtocolError) as caught:
        router.on(event, **settings)

    assert caught.value.field == field
    assert not router.handles(event)


def part(number: int, text: str = "x") -> InboundSms:
    """One part of two."""
    elements = (UdhElement(0, bytes((7, 2, number))),)
    udh = UserDataHeader(bytes((5, 0, 3, 7, 2, number)), elements)
    return InboundSms("1", text=text, data=text.encode(), data_coding=1, esm_class=64, udh=udh)


async def test_whole_messages(router, recorder):
    """Handlers of whole messages get those in one part; joining parts is up to others."""
    router.on(InboundSms, whole=True)(recorder.handler("whole"))
    router.on(InboundSms)(recorder.handler("each"))
    plain, joined = InboundSms("1", text="plain"), InboundSms("1", text="ab")

    await router.dispatch([part(1, "a"), plain])
    await router.dispatch_whole(joined)

    names_and_texts = [(name, sms.text) for name, sms in recorder.calls]
    assert names_and_texts == [
        ("each", "a"),
        ("each", "plain"),
        ("whole", "plain"),
        ("whole", "ab"),
    ]


@pytest.mark.parametrize("settings", [{}, {"batch": 2}, {"whole": True}])
async def test_a_handler_that_cancels_something_of_its_own(router, recorder, settings):
    """It fails like any other: nobody has asked for the end of the task that awaits it."""
    router.on(InboundSms, **settings)(recorder.handler("a", asyncio.CancelledError()))
    router.on(InboundSms, **settings)(recorder.handler("b"))

    with pytest.raises(ExceptionGroup) as caught:
        await router.dispatch([InboundSms("1")])

    assert [name for name, _ in recorder.calls] == ["a", "b"]
    assert "cancelled by something of its own" in str(caught.value.exceptions)


async def test_a_dispatch_that_is_cancelled(router, recorder):
    """It ends at once."""

    @router.on(DeliveryReport)
    async def hang(_: DeliveryReport) -> None:
        await asyncio.Event().wait()

    router.on(DeliveryReport)(recorder.handler("b"))
    dispatching = asyncio.create_task(router.dispatch([REPORT]))
    await asyncio.sleep(0)
    dispatching.cancel()

    with pytest.raises(asyncio.CancelledError):
        await dispatching
    assert recorder.calls == []


async def test_off_takes_back_every_kind(router, recorder):
    """A handler is taken back from wherever it was registered, and no other is."""
    gone, kept = recorder.handler("a"), recorder.handler("b")
    for handler in (gone, kept):
        router.on(InboundSms)(handler)
        router.on(InboundSms, batch=2)(handler)
        router.on(InboundSms, whole=True)(handler)

    router.off(InboundSms, gone)
    await router.dispatch([InboundSms("1")])
    assert [name for name, _ in recorder.calls] == ["b"] * 3

    router.off(InboundSms, kept)
    assert not router.handles(InboundSms)


@pytest.mark.parametrize("settings", [{}, {"batch": 2}, {"whole": True}])
def test_handles_every_kind(router, recorder, settings):
    """A handler of any kind is one; a batch of inbound messages says nothing of reports."""
    router.on(InboundSms, **settings)(recorder.handler("a"))

    assert router.handles(InboundSms)
    assert not router.handles(DeliveryReport)


def test_joins(router, recorder):
    """A router tells whether anybody wants the parts of messages joined."""
    assert not router.joins
    router.on(InboundSms, whole=True)(recorder.handler("whole"))
    assert router.joins


def test_limits_of_joining():
    """How long, and how many, messages wait for parts is set once, for whoever joins them."""
    router = Router(parts_timeout=60.0, parts_limit=5)

    assert (router.reassembler.timeout, router.reassembler.limit) == (60.0, 5)


async def test_a_whole_message_that_fails(router, recorder):
    """Failures of the handlers of a message that was joined elsewhere leave together."""
    router.on(InboundSms, whole=True)(recorder.handler("a", ValueError("no")))
    router.on(InboundSms, whole=True)(recorder.handler("b"))

    with pytest.raises(ExceptionGroup, match="handlers failed"):
        await router.dispatch_whole(InboundSms("1", text="ab"))

    assert [name for name, _ in recorder.calls] == ["a", "b"]
