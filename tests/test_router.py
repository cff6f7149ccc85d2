"""Which coroutines get which events, and what becomes of their failures."""

import pytest

from infobip_async.models import (
    DeliveryReport,
    DeliveryStatus,
    HlrReport,
    HlrStatus,
    InboundSms,
    UnreadableRow,
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


async def test_what_is_no_failure_ends_the_dispatch(router, recorder):
    """An interrupt is not gathered with the failures: it ends everything at once."""
    router.on(DeliveryReport)(recorder.handler("a", KeyboardInterrupt()))
    router.on(DeliveryReport)(recorder.handler("b"))

    with pytest.raises(KeyboardInterrupt):
        await router.dispatch([REPORT])

    assert recorder.calls == [("a", REPORT)]


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
        router.off(DeliveryReport, once)
        router.on(DeliveryReport)(recorder.handler("new"))

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
