"""Answers to inbound messages."""

import pytest

from infobip_async.errors import LocalProtocolError
from infobip_async.models import InboundSms, TextMessage
from infobip_async.text.replies import reply


@pytest.mark.parametrize(
    ("sms", "sender", "answer"),
    [
        (InboundSms("38598123123", "41793026727"), None, ("41793026727", "38598123123")),
        (InboundSms("+38598123123", "+41793026727"), None, ("41793026727", "38598123123")),
        (InboundSms("38598123123", "41793026727"), "Friend", ("Friend", "38598123123")),
        (InboundSms("38598123123"), "Friend", ("Friend", "38598123123")),
    ],
)
def test_reply(sms: InboundSms, sender: str | None, answer: tuple[str, str]) -> None:
    """The number that was texted answers to the number that texted it."""
    assert reply(sms, "Thanks", sender=sender) == (TextMessage("Thanks", answer[0]), answer[1])


@pytest.mark.parametrize("receiver", [None, ""])
def test_reply_needs_a_sender(receiver: str | None) -> None:
    """Where the gateway does not say which number was texted, the caller must."""
    with pytest.raises(LocalProtocolError, match="sender") as caught:
        reply(InboundSms("38598123123", receiver), "Thanks")
    assert caught.value.section == "6"
