"""The items of a bulk send, and their outcomes."""

from collections.abc import Awaitable, Callable, Container
from enum import Enum

import attrs

from infobip_async.errors import InfobipError, LocalProtocolError
from infobip_async.models.messages import Message, Recipient

Asks = Callable[[str], Awaitable[bool]]
"""A coroutine function that knows whether nothing is sent to a number."""

Exclude = Container[str] | Asks
"""Numbers that nothing is sent to, or a coroutine function that knows them."""


def check_key(key: object) -> None:
    """Refuse what no item is found by: numbers are positions in a source, and files keep text.

    Args:
        key: of an item; None where it has none.

    Raises:
        LocalProtocolError: the key is not a string, or has a lone surrogate.
    """
    if key is None:
        return
    if not isinstance(key, str):
        raise LocalProtocolError("is not a string", field="key")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("has a lone surrogate", field="key") from None


@attrs.frozen
class Outgoing:
    """One message to one recipient.

    Attributes:
        message: what to send; items with an equal message can share a request.
        recipient: a number, or a number with a message id of the caller's.
        key: tells the item from others in a job. Without a key, the position in the source does.

    Raises:
        LocalProtocolError: the key is not a string, or has a lone surrogate.
    """

    message: Message
    recipient: str | Recipient
    key: str | None = attrs.field(default=None, validator=lambda _, __, key: check_key(key))


class SendOutcome(Enum):
    """What became of one item."""

    SENT = "sent"
    """Final for the request: the gateway will send it. Reports say whether it arrived."""
    REFUSED = "refused"
    """Final. The gateway refused it, or it breaks a rule of the document."""
    NOT_SENT = "not sent"
    """No byte of its request left this machine, or the run ended before its turn. The next run of a
    job sends it."""
    UNKNOWN = "unknown"
    """It may have been sent; a delivery report on `SendResult.message_ids` settles it."""
    EXCLUDED = "excluded"
    """Final for this run. The caller excluded its number."""


@attrs.frozen
class SendResult:
    """The outcome of one item.

    Attributes:
        item: as it was given.
        outcome: what became of it.
        message_ids: the ids that delivery reports will name: the item's id, or the id of each part
            where the message goes out in several requests. Empty where nothing was sent.
        error: the error behind the outcome, where this run met one.
        reason: in words, why it was not sent, or is not known to be.
        resumed: the outcome stands in the job since an earlier run.
    """

    item: Outgoing
    outcome: SendOutcome
    message_ids: tuple[str, ...] = ()
    error: InfobipError | None = None
    reason: str | None = None
    resumed: bool = False
