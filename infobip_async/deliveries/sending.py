"""One message to a few recipients: stored, sent, and its outcome stored."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import attrs

from infobip_async.bulk.items import SendOutcome, check_key
from infobip_async.bulk.run import Verdict, verdict_of, verdict_on
from infobip_async.deliveries.ledger import Ledger
from infobip_async.deliveries.records import DeliveryKey, StoredDelivery
from infobip_async.deliveries.run import fingerprint, has_fingerprint
from infobip_async.errors import (
    AlreadySentError,
    InfobipError,
    LocalProtocolError,
    StorageUnavailableError,
)
from infobip_async.models.messages import Message, Recipient, Recipients, recipient_of
from infobip_async.numbering.msisdn import check_destinations
from infobip_async.redaction import logger_of_faults
from infobip_async.runs.job import text_of

if TYPE_CHECKING:
    from infobip_async.client.client import InfobipClient

IfKnown = Literal["raise", "return"]
"""What becomes of a message whose key is known: an error, or what is known is returned."""

_MAY_GO_AGAIN: Final = {SendOutcome.NOT_SENT, SendOutcome.REFUSED}

_logger = logger_of_faults("infobip_async.deliveries")


@attrs.frozen
class Sending:
    """Sends messages whose deliveries are in a store."""

    client: "InfobipClient"
    ledger: Ledger

    def intents(
        self, message: Message, recipients: Recipients, key: str | None
    ) -> list[StoredDelivery]:
        """Make the deliveries of a message, before it is sent.

        Raises:
            LocalProtocolError: a rule of the document is broken, by the key among others.
        """
        given = (recipients,) if isinstance(recipients, str | Recipient) else recipients
        several = [recipient_of(one) for one in given]
        check_destinations([one.msisdn for one in several])
        check_key(key)
        if key is not None and len(several) > 1:
            raise LocalProtocolError("a key goes with one recipient", field="key")
        suffixes = self.client.message_ids(message, "")
        return [self._intent(message, one, suffixes, key) for one in several]

    def _intent(
        self, message: Message, to: Recipient, suffixes: Sequence[str], key: str | None
    ) -> StoredDelivery:
        message_id = to.message_id or self.client.make_message_id()
        return StoredDelivery(
            message_id=message_id,
            key=None if key is None else DeliveryKey(key),
            part_ids=tuple(message_id + suffix for suffix in suffixes) if any(suffixes) else (),
            msisdn=to.msisdn,
            created_at=self.ledger.clock(),
            digest=b"" if key is None else fingerprint((to.msisdn, text_of(message))),
        )

    async def send(
        self, message: Message, intents: Sequence[StoredDelivery], if_known: IfKnown
    ) -> list[StoredDelivery]:
        """Store what is about to be sent, send, and store the outcome, unless it is known.

        Raises:
            AlreadySentError: a key or an id is known.
            InfobipError: as of `InfobipClient.send`.
        """
        with self.ledger.watch.creating(len(intents)) as watched:
            if origin := watched.trace_context():
                intents = [attrs.evolve(one, trace_context=origin) for one in intents]
            known = await self._begin(message, intents, if_known)
            return await self._request(message, intents) if known is None else [known]

    async def _begin(
        self, message: Message, intents: Sequence[StoredDelivery], if_known: IfKnown
    ) -> StoredDelivery | None:
        """Store what is about to be sent, or give what is known already."""
        done = await self.ledger.change([(one.ref, partial(_begin, one)) for one in intents])
        known = [one for one in done if one is not None and one not in intents]
        if not known:
            return None
        await self.ledger.change([(one.ref, _forget) for one in intents if one in done])
        what = "message id" if known[0].key is None else "key"
        if if_known == "return":
            if has_fingerprint(known[0].digest, (intents[0].msisdn, text_of(message))):
                return known[0]
            what += " of another message or number"
        why = f"the {what} is known: the message was sent, or may have been"
        raise AlreadySentError(why, delivery=known[0].view())

    async def _request(
        self, message: Message, intents: Sequence[StoredDelivery]
    ) -> list[StoredDelivery]:
        recipients = [Recipient(one.msisdn, one.message_id) for one in intents]
        try:
            receipt = await self.client.send(message, recipients)
        except InfobipError as error:
            await self._settle(intents, verdict_on(error))
            raise
        ids = [message_id for one in intents for message_id in one.ids]
        return await self._settle(intents, verdict_of(receipt.accepted, len(intents), ids))

    async def _settle(
        self, intents: Sequence[StoredDelivery], verdict: Verdict
    ) -> list[StoredDelivery]:
        reason = None if verdict.error is None else str(verdict.error)

        def settled(one: StoredDelivery) -> StoredDelivery:
            return one.requested(verdict.outcome, reason, answered=verdict.answered)

        def settle(known: StoredDelivery | None) -> StoredDelivery | None:
            return known and self.ledger.moved(known, settled(known))

        try:
            done = await self.ledger.change([(one.message_id, settle) for one in intents])
        except StorageUnavailableError as fault:
            # The request was made all the same. Its reports will tell what became of it.
            _logger.error("the outcome of a message could not be stored: %s", fault)  # noqa: TRY400 - no trace of ours
            done = [None] * len(intents)
        return [after or settled(one) for one, after in zip(intents, done, strict=True)]


def _begin(intent: StoredDelivery, known: StoredDelivery | None) -> StoredDelivery:
    if known is None or known.state.outcome in _MAY_GO_AGAIN:
        return intent
    return known


def _forget(_: StoredDelivery | None) -> None:
    """Store nothing: it was not sent."""
