"""The contents of requests: the parts of a message, its recipients, and their message ids."""

import itertools
import os
import secrets
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from infobip_async.errors import LocalProtocolError
from infobip_async.models.messages import Message, Recipient, Recipients, Submission, recipient_of
from infobip_async.protocol.message_ids import IdKey
from infobip_async.text.segments import Ucs2Form, compose

NO_COPIES: Final = (
    "a client cannot be copied or pickled: it holds the password, and two of its copies would make"
    " the same message ids. Make a client where one is needed, such as in each process"
)


class Composer:
    """Makes the contents of requests, with unique message ids and references of parts.

    Args:
        ucs2: how text beyond the GSM alphabet goes on the wire (§2/1.2).
        reference_width: bits of the reference that joins the parts of such a text, 8 or 16.
        id_key: tags message ids. Ids of callers must have its tag, too.
    """

    def __init__(
        self, ucs2: Ucs2Form, reference_width: Literal[8, 16], id_key: str | bytes | None = None
    ) -> None:
        self._id_key = None if id_key is None else IdKey(id_key)
        self._ucs2 = ucs2
        self._reference_width: Literal[8, 16] = reference_width
        self._begin()

    def _begin(self) -> None:
        """Begin with ids and references that no other process makes."""
        self._process = os.getpid()
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._references = itertools.count(secrets.randbelow(1 << 16))

    def make_message_id(self) -> str:
        """Make a message id of letters, digits and a hyphen, below 50 characters."""
        self._check_process()
        message_id = f"{self._prefix}-{next(self._numbers):x}"
        return message_id if self._id_key is None else self._id_key.tag(message_id)

    def _check_process(self) -> None:
        """Begin anew in a process that was forked from the one that made this composer."""
        if os.getpid() != self._process:
            self._begin()

    def parts(self, message: Message) -> Sequence[Submission]:
        """The contents of the requests that carry a message, in their order."""
        self._check_process()
        return compose(
            message,
            ucs2=self._ucs2,
            reference=next(self._references) % (1 << self._reference_width),
            reference_width=self._reference_width,
        ).submissions

    def addressed(self, recipients: Recipients, *, registered: bool) -> tuple[Recipient, ...]:
        """Make the recipients, each with a message id if delivery is registered.

        Raises:
            LocalProtocolError: a recipient has a message id although delivery is not registered;
                or its id has no tag of the key, so that the receiver would refuse its report.
        """
        several = recipients if isinstance(recipients, Iterable) else [recipients]
        if isinstance(several, str):
            several = [several]
        every = [recipient_of(one) for one in several]
        if self._id_key is not None:
            _check_tags(every, self._id_key)
        if registered:
            return tuple(
                one if one.message_id else Recipient(one.msisdn, self.make_message_id())
                for one in every
            )
        if any(one.message_id for one in every):
            raise LocalProtocolError(
                "a message id asks for registered delivery", field="registered", section="2/1.1"
            )
        return tuple(every)

    def plan(
        self, message: Message, recipients: tuple[Recipient, ...]
    ) -> list[tuple[Submission, tuple[Recipient, ...]]]:
        """The content and the recipients of each request, with the message ids of its part."""
        parts = self.parts(message)
        total = len(parts)
        return [(part, _of_part(recipients, at, total)) for at, part in enumerate(parts, 1)]

    def message_ids(self, message: Message, message_id: str) -> tuple[str, ...]:
        """The message ids of the requests of a message that is sent under an id."""
        total = len(self.parts(message))
        return tuple(_part_id(message_id, number, total) for number in range(1, total + 1))


def _check_tags(recipients: Iterable[Recipient], key: IdKey) -> None:
    for one in recipients:
        if one.message_id and not key.fits(one.message_id):
            raise LocalProtocolError(
                "has no tag of the id_key, see tag_message_id",
                field="message_id",
                value=one.message_id,
            )


def _part_id(message_id: str, number: int, total: int) -> str:
    return message_id if total == 1 else f"{message_id}-{number}"


def _of_part(recipients: tuple[Recipient, ...], number: int, total: int) -> tuple[Recipient, ...]:
    if total == 1:
        return recipients
    return tuple(
        Recipient(one.msisdn, one.message_id and _part_id(one.message_id, number, total))
        for one in recipients
    )
