"""Messages that are followed to their end: the options, and the wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import attrs
import click

from infobip_async import (
    Deliveries,
    DeliveryCounts,
    Router,
    SqliteDeliveryStore,
)
from infobip_async.cli.exit_codes import PARTLY
from infobip_async.cli.options import POSITIVE, options_of
from infobip_async.cli.receiving import Receiver, announce, receiver_options
from infobip_async.cli.tables import counted, ranking
from infobip_async.cli.verbosity import Verbosity

if TYPE_CHECKING:
    from infobip_async import InfobipClient, Message

_SECONDS_BETWEEN_LOOKS: Final = 0.5
_POLL_SECONDS: Final = 10.0


@attrs.frozen(kw_only=True)
class Following(Receiver):
    """Where reports come from, and how long they are waited for."""

    poll: bool
    follow_timeout: float | None

    @property
    def hears(self) -> bool:
        """Whether reports come to this process."""
        return self.poll or self.receive is not None

    def check(self) -> None:
        """Refuse options that contradict each other."""
        if self.poll and self.receive:
            raise click.UsageError("give either --receive or --poll")

    @asynccontextmanager
    async def open(self, file: str, client: "InfobipClient | None") -> AsyncIterator[Deliveries]:
        """Open the deliveries in a file, and hear of their reports."""
        router = Router()
        async with AsyncExitStack() as stack:
            store = SqliteDeliveryStore(file)
            deliveries = await stack.enter_async_context(Deliveries(client, router, store=store))
            if self.receive is not None:
                announce(await stack.enter_async_context(self.listen(router)))
            if self.poll:
                await stack.enter_async_context(_polling(deliveries))
            yield deliveries

    async def follow(self, deliveries: Deliveries, file: str, verbosity: Verbosity) -> int:
        """Wait until no message in the file waits for its report; give the exit code."""
        counts = DeliveryCounts()
        changes = aiter(deliveries)
        try:
            async with asyncio.timeout(self.follow_timeout):
                while waiting := _waiting(counts := await deliveries.counts()):
                    verbosity.say(f"{counts.delivered:,} delivered, {waiting:,} waiting")
                    await anext(changes)
                    await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        except TimeoutError:
            verbosity.say(how_to_go_on(file))
        tell(counts, verbosity)
        return 0 if counts.delivered == counts.total else PARTLY


@asynccontextmanager
async def _polling(deliveries: Deliveries) -> AsyncIterator[None]:
    """Pull reports meanwhile; where that cannot go on, nothing else can."""
    try:
        async with asyncio.TaskGroup() as tasks:
            polling = tasks.create_task(deliveries.poll(interval=_POLL_SECONDS))
            yield
            polling.cancel()
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None


def _waiting(counts: DeliveryCounts) -> int:
    return counts.under_way + counts.unknown + counts.waiting


def how_to_go_on(file: str) -> str:
    """Say what brings the rest to its end."""
    return f"what still waits can be followed later: infobip-async deliveries follow {file}"


def shown(counts: DeliveryCounts) -> dict[str, int]:
    """Counts by name, without those that are zero."""
    failed = {f"failed: {name}": count for name, count in counts.failed.items()}
    rest = attrs.asdict(counts, filter=lambda field, _: field.name not in {"failed", "total"})
    named = {name.replace("_", " "): count for name, count in rest.items()} | failed
    return {name: count for name, count in named.items() if count}


def tell(counts: DeliveryCounts, verbosity: Verbosity) -> None:
    """Print what became of the messages."""
    found = shown(counts)
    contradicted = found.pop("contradictions", 0)
    verbosity.console.print(ranking("delivery", "messages", found))
    if contradicted:
        verbosity.say(f"{counted(contradicted, 'message')} with reports that contradict each other")


follow_options: Final = options_of(
    Following,
    "following",
    *receiver_options("Receive delivery reports here, and wait until each message is final."),
    click.option("--poll", is_flag=True, help="Likewise, but pull the reports."),
    click.option(
        "--follow-timeout",
        type=POSITIVE,
        help="Seconds to wait for reports; without it as long as it takes.",
    ),
)
"""Gives a command the options of `Following`, and what they make as ``following``."""


@attrs.frozen(kw_only=True)
class Storing:
    """Where what becomes of messages is stored, and what they are called there."""

    deliveries: str | None
    key: str | None
    run: str | None

    def check(self, following: Following, *, excluded: bool) -> None:
        """Refuse options that contradict each other.

        Args:
            following: whether the messages are followed.
            excluded: whether there is an option that goes without a store.
        """
        following.check()
        if self.deliveries is None and (self.key or self.run or following.hears):
            raise click.UsageError("--key, --run, --receive and --poll go with --deliveries")
        if self.deliveries is not None and excluded:
            raise click.UsageError("--deliveries excludes --get, --plain and --job")

    def tell(self, verbosity: Verbosity, _: int) -> None:
        """Say what a signal to stop leaves to be done."""
        verbosity.say(how_to_go_on(self.deliveries or ""))

    async def send(
        self,
        client: "InfobipClient",
        message: "Message",
        recipients: tuple[str, ...],
        following: Following,
        verbosity: Verbosity,
    ) -> int:
        """Send a message whose deliveries are stored, and follow them; give the exit code."""
        file = self.deliveries or ""
        async with client, following.open(file, client) as deliveries:
            sent = await deliveries.send(message, recipients, key=self.key)
            for delivery in sent:
                click.echo(f"{delivery.msisdn} {delivery.message_id}")
            if not following.hears:
                verbosity.say(how_to_go_on(file))
                return 0
            return await following.follow(deliveries, file, verbosity)


store_options: Final = options_of(
    Storing,
    "storing",
    click.option(
        "--deliveries",
        type=click.Path(dir_okay=False),
        help="Store in this file what becomes of each message, to be followed now or later.",
    ),
    click.option("--key", help="What you call the message: with --deliveries it is sent once."),
    click.option("--run", help="The name of a list's run in --deliveries, in place of a job."),
)
"""Gives a command the options of `Storing`, and what they make as ``storing``."""
