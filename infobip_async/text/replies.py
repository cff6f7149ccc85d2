"""Answering an inbound message (§6)."""

from infobip_async.errors import LocalProtocolError
from infobip_async.models import InboundSms, TextMessage


def reply(sms: InboundSms, text: str, *, sender: str | None = None) -> tuple[TextMessage, str]:
    """Make the answer to an inbound message, ready for a send.

    Args:
        sms: the message to answer.
        text: the text of the answer.
        sender: who answers; the number that was texted where it is None.

    Returns:
        The message, and the number to send it to.

    Raises:
        LocalProtocolError: there is no `sender`, and the gateway did not say which number was
            texted.
    """
    answering = sender or sms.receiver
    if not answering:
        raise LocalProtocolError(
            "needed where the gateway does not say which number was texted",
            field="sender",
            section="6",
        )
    return TextMessage(text, sender=answering.removeprefix("+")), sms.sender.removeprefix("+")
