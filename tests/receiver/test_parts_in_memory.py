"""Parts of inbound messages that are in memory only, and the handlers of whole messages."""

import math

import pytest

from infobip_async.models.events import InboundSms
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.inbound_sms import decode_push
from infobip_async.protocol.push import PushFormat
from infobip_async.receiver.acknowledge import HandleThenAck
from infobip_async.receiver.parts_in_memory import PartsInMemory
from infobip_async.router import Router


def query(number: int, text: str) -> str:
    """The query of one part of two."""
    octets = text.encode("utf-16-be").hex()
    return f"sender=1&esmclass=64&datacoding=8&bin=0500030702{number:02}{octets}"


def part(number: int, text: str) -> InboundSms:
    """One part of two."""
    return decode_push(query(number, text))


class Handler:
    """A handler that notes what it got, and fails if it is told to."""

    def __init__(self, name: str, calls: list[tuple[str, InboundSms]]) -> None:
        self.name = name
        self.calls = calls
        self.fault: Exception | None = None

    async def __call__(self, sms: InboundSms) -> None:
        """Handle a message."""
        self.calls.append((self.name, sms))
        if self.fault:
            raise self.fault


@pytest.fixture
def router() -> Router:
    """A router that waits for parts for a minute."""
    return Router(parts_timeout=60.0)


@pytest.fixture
def calls() -> list[tuple[str, InboundSms]]:
    """What the handlers got."""
    return []


@pytest.fixture
def whole(router, calls) -> Handler:
    """A handler of whole messages."""
    handler = Handler("whole", calls)
    router.on(InboundSms, whole=True)(handler)
    return handler


@pytest.fixture
def parts(router) -> PartsInMemory:
    """The parts that wait."""
    return PartsInMemory(router)


async def test_whole_messages(router, whole, calls):
    """A handler of whole messages gets them joined, others get each part."""
    router.on(InboundSms)(Handler("each", calls))
    acknowledge = HandleThenAck(router, PushFormat())

    for text in (query(2, "b"), "sender=1&text=plain", query(1, "a")):
        assert await acknowledge.take(RawPush(PushKind.INBOUND_SMS, text)) == 200

    assert [(name, sms.text) for name, sms in calls] == [
        ("each", "b"),
        ("each", "plain"),
        ("whole", "plain"),
        ("each", "a"),
        ("whole", "ab"),
    ]


async def test_every_handler_s_fault_counts(router, whole, calls, caplog):
    """A push is acknowledged if the handlers of the part and of the whole message succeeded."""
    each = Handler("each", calls)
    router.on(InboundSms)(each)
    acknowledge = HandleThenAck(router, PushFormat())
    first, last = (RawPush(PushKind.INBOUND_SMS, query(n, "x")) for n in (1, 2))

    assert await acknowledge.take(first) == 200
    each.fault = whole.fault = ValueError("no")
    assert await acknowledge.take(last) == 500
    each.fault = None
    assert await acknowledge.take(last) == 500
    whole.fault = None
    assert await acknowledge.take(last) == 200

    assert [name for name, _ in calls] == ["each", *["each", "whole"] * 3]
    assert "handlers failed (2 sub-exceptions)" in caplog.text


async def test_a_whole_message_that_is_not_handled(parts, whole, calls):
    """When the gateway repeats the part that was not acknowledged, the message is whole again."""
    whole.fault = ValueError("no")
    assert await parts.add(part(1, "a"), 1.0) == []
    for _ in range(2):
        assert await parts.add(part(2, "b"), 2.0) == [whole.fault]
    whole.fault = None

    assert await parts.add(part(2, "b"), 3.0) == []
    assert await parts.add(part(2, "b"), 4.0) == []  # a repetition of what was acknowledged

    assert [sms.text for _, sms in calls] == ["ab"] * 3


async def test_incomplete_messages(parts, whole, calls):
    """They are handed on when their time is up; if that fails their parts wait once more."""
    whole.fault = ValueError("no")
    await parts.add(part(1, "a"), 1.0)

    await parts.expire(60.0)
    assert calls == []
    with pytest.raises(ExceptionGroup, match="handlers failed"):
        await parts.expire(61.0)
    await parts.expire(120.0)
    assert len(calls) == 1
    whole.fault = None
    await parts.expire(121.0)

    assert [(sms.text, sms.missing) for _, sms in calls] == [("a", (2,))] * 2
    assert parts.router.reassembler.take_due(math.inf) == ()


async def test_a_message_that_makes_room(whole, calls, router):
    """What its handlers raise is no fault of the part that came, and its parts wait on."""
    router.reassembler.limit = 1
    parts = PartsInMemory(router)
    whole.fault = ValueError("no")
    await parts.add(part(1, "a"), 1.0)

    assert await parts.add(decode_push(query(1, "b").replace("sender=1", "sender=2")), 2.0) == []

    assert [(sms.sender, sms.missing) for _, sms in calls] == [("1", (2,))]
