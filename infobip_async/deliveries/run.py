"""The record of a run of sends in a delivery store, in place of a job file."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from hmac import compare_digest
from secrets import token_bytes, token_hex
from typing import Final, Self

import attrs

from infobip_async.bulk.groups import Entry, Key
from infobip_async.bulk.items import Outgoing, SendOutcome
from infobip_async.bulk.job import Record, number_of
from infobip_async.deliveries.ledger import Ledger
from infobip_async.deliveries.records import DeliveryKey, StoredDelivery
from infobip_async.deliveries.store import DeliveryQuery
from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.runs.job import Identity, row_of, text_of

_KEY_OCTETS: Final = 8
_OWN: Final = Record(own=True)


def fingerprint(content: Sequence[str]) -> bytes:
    """Digest what a message says, keyed, with the key in front."""
    salt = token_bytes(_KEY_OCTETS)
    return salt + Identity(salt).digest(*content)


def has_fingerprint(digest: bytes, content: Sequence[str]) -> bool:
    """Whether a digest is one of this content."""
    salt = digest[:_KEY_OCTETS]
    return compare_digest(digest[_KEY_OCTETS:], Identity(salt).digest(*content))


class RunRecord:
    """What a store knows of the items of a run; see `infobip_async.bulk.job.SendRecord`.

    Each item is a delivery whose key is the item's, or its position. It is known as not sent
    before its turn, and gets its message id with the intent. Of two processes that make the same
    run at once, the one that met an item later sends it, and the other ends.
    """

    def __init__(self, ledger: Ledger, run: str, account: str) -> None:
        self._ledger = ledger
        self._run = run
        self._account = account
        self._owner = token_hex(8)

    async def __aenter__(self) -> Self:
        """Keep other runs of the same name in this process out."""
        if self._run in self._ledger.runs:
            raise StorageUnavailableError(f"the run {self._run!r} is going on")
        self._ledger.runs.add(self._run)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ledger.runs.discard(self._run)

    async def exists(self) -> bool:
        """Whether the store knows anything of the run."""
        async for _ in self._ledger.store.scan(DeliveryQuery(run=self._run)):
            return True
        return False

    def _key(self, key: Key) -> DeliveryKey:
        return DeliveryKey(key, self._run)

    async def meet(
        self, items: Sequence[tuple[Key, Outgoing]]
    ) -> tuple[list[Record | None], LocalProtocolError | None]:
        """Make items known, in the order of the source, up to one that differs."""
        records: list[Record | None] = []
        await self._ledger.change(
            [
                (self._key(key), partial(self._meet, records, at, key, item))
                for at, (key, item) in enumerate(items)
            ]
        )
        if len(records) == len(items):
            return records, None
        key = items[len(records)][0]
        row = f"{row_of(key)} has another number or another message there"
        return records, self._differs(f"{row}, or another account sent it", key)

    def _meet(
        self,
        records: list[Record | None],
        at: int,
        key: Key,
        item: Outgoing,
        known: StoredDelivery | None,
    ) -> StoredDelivery | None:
        if len(records) < at:  # one in front of it differs
            return known
        del records[at:]  # a store may call again
        content = (self._account, number_of(item) or repr(item.recipient), text_of(item.message))
        if known is None:
            records.append(None)
            return StoredDelivery(
                key=self._key(key),
                msisdn=number_of(item) or "",
                created_at=self._ledger.clock(),
                given=SendOutcome.NOT_SENT,
                digest=fingerprint(content),
                owner=self._owner,
            )
        if known.owner == self._owner:
            records.append(_OWN)
            return known
        if not has_fingerprint(known.digest, content):
            return known
        records.append(_record(known))
        return attrs.evolve(known, owner=self._owner)

    def _differs(self, row: str, key: Key | None = None) -> LocalProtocolError:
        return LocalProtocolError(
            f"this is not the source of the run {self._run!r}: {row}; nothing from there on was"
            " sent: go on with the source as it was (rows may be appended), or take another name"
            " for this one",
            field="run",
            value=key if isinstance(key, str) else None,
        )

    async def check_end(self, rows: int) -> LocalProtocolError | None:
        """Tell of a source that ends before the run does: positions have no gap."""
        [more] = await self._ledger.change([(self._key(rows), lambda one: one)])
        if more is None:
            return None
        return self._differs(f"it ends after {rows:,} rows, and the run has more")

    def watching(self, messages: int) -> AbstractContextManager[object]:
        """Watch a request from its intent to its reply: the deliveries keep the trace context."""
        return self._ledger.watch.creating(messages)

    async def intend(self, entries: Iterable[Entry]) -> None:
        """Store what is about to be sent.

        Raises:
            StorageUnavailableError: another process makes the same run now; nothing may be sent.
        """
        several = list(entries)
        intend = partial(self._intend, self._ledger.watch.trace_context())
        done = await self._ledger.change(
            [(self._key(entry.key), partial(intend, entry)) for entry in several]
        )
        if any(after is None or after.owner != self._owner for after in done):
            await self._ledger.change([(self._key(entry.key), self._withdraw) for entry in several])
            raise StorageUnavailableError(f"another process goes on with the run {self._run!r}")

    def _withdraw(self, known: StoredDelivery | None) -> StoredDelivery | None:
        if known is None or known.owner != self._owner:
            return known
        return attrs.evolve(known, given=SendOutcome.NOT_SENT)

    def _intend(
        self, origin: Mapping[str, str], entry: Entry, known: StoredDelivery | None
    ) -> StoredDelivery | None:
        if known is None or known.owner != self._owner:
            return known
        message_id = entry.recipient.message_id or ""
        ids = entry.message_ids
        return attrs.evolve(
            known,
            message_id=message_id,
            part_ids=() if ids == (message_id,) else ids,
            msisdn=entry.recipient.msisdn,
            created_at=self._ledger.clock(),
            given=None,
            answered=False,
            reason=None,
            known=(),
            expired=False,
            trace_context=origin,
        )

    async def record(
        self, keys: Iterable[Key], outcome: SendOutcome, reason: str | None, *, answered: bool
    ) -> None:
        """Store what became of items. What was not sent may still be, and is no news."""

        def settle(known: StoredDelivery | None) -> StoredDelivery | None:
            if known is None or known.owner != self._owner:
                return known
            after = known.requested(outcome, reason, answered=answered)
            return after if outcome is SendOutcome.NOT_SENT else self._ledger.moved(known, after)

        await self._ledger.change([(self._key(key), settle) for key in keys])


def _record(known: StoredDelivery) -> Record:
    """What the engine of a run needs to know of an item."""
    outcome = known.state.outcome
    if outcome is known.given:
        return Record(known.ids, outcome, known.answered, known.reason)
    return Record(known.ids, outcome, answered=True, reason="a delivery report proves it")
