"""``infobip-async journal``: look into a journal, and decide about events."""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime

import attrs
import click

from infobip_async.cli.event_json import as_json
from infobip_async.cli.exit_codes import PARTLY, runs
from infobip_async.cli.options import StoredFile
from infobip_async.journal import SetAside, SqliteJournal, StoredPush, salvage

Decision = Callable[[SqliteJournal, Iterable[str] | None], Awaitable[int]]

_file = click.argument("file", type=StoredFile())


@click.group("journal")
def command() -> None:
    """See what a journal stores, and have events handled again, or forgotten.

    A receiver may serve the journal meanwhile: it handles at once what is put back.
    """


@command.command("stats")
@_file
@runs
async def stats(file: str) -> None:
    """Print how much waits, how long the oldest has waited, and what is set aside, as JSON."""
    async with SqliteJournal(file) as journal:
        counts = await journal.counts()
    oldest = counts.oldest
    shown: dict[str, object] = attrs.asdict(counts)
    if oldest is not None:
        shown |= {"oldest": _time(oldest), "oldest_age": round(time.time() - oldest, 1)}
    click.echo(json.dumps(shown))


@command.command("list")
@_file
@runs
async def list_(file: str) -> None:
    """Print the pushes that wait to be handled, a JSON line for each."""
    async with SqliteJournal(file) as journal:
        async for stored in journal.waiting():
            click.echo(json.dumps(_summary(stored)))


@command.command("dead")
@_file
@runs
async def dead(file: str) -> None:
    """Print the dead letters, a JSON line for each."""
    await _print(SqliteJournal.dead, file)


@command.command("quarantine")
@_file
@runs
async def quarantine(file: str) -> None:
    """Print what could not be read, a JSON line for each."""
    await _print(SqliteJournal.quarantine, file)


async def _print(given: Callable[[SqliteJournal], AsyncIterator[SetAside]], file: str) -> None:
    async with SqliteJournal(file) as journal:
        async for one in given(journal):
            click.echo(json.dumps(_details(one), ensure_ascii=False))


def _choice(decide: Callable[..., None]) -> Callable[..., None]:
    """Give a command the ids that it is for, and the option that it is for all."""
    every = click.option("--all", "every", is_flag=True, help="All of them.")
    return _file(click.argument("ids", nargs=-1)(every(decide)))


@command.command("requeue")
@_choice
@runs
async def requeue(file: str, ids: tuple[str, ...], *, every: bool) -> None:
    """Have dead letters handled again: those with the IDS, or all."""
    await _decide(SqliteJournal.requeue, file, ids, every=every)


@command.command("replay")
@_choice
@runs
async def replay(file: str, ids: tuple[str, ...], *, every: bool) -> None:
    """Read quarantined pushes and rows again: those with the IDS, or all."""
    await _decide(SqliteJournal.replay, file, ids, every=every)


@command.command("discard")
@_choice
@runs
async def discard(file: str, ids: tuple[str, ...], *, every: bool) -> None:
    """Forget dead letters and quarantined pushes and rows: those with the IDS, or all.

    An id may also be that of a push that waits to be handled (7), or of one event of it (7:3).
    """
    await _decide(SqliteJournal.discard, file, ids, every=every, done="discarded")


@command.command("salvage")
@_file
@click.argument("new", type=click.Path())
@runs
async def salvage_(file: str, new: str) -> None:
    """Copy what can be read of a damaged journal into a NEW one.

    Stop the receiver first, and have it serve the new one then.
    """
    found = await salvage(file, new)
    lost = "an unknown number" if found.lost is None else found.lost
    click.echo(f"{found.pushes} pushes copied, {lost} cannot be read", err=True)
    if not found.complete:
        click.echo("some events that were handled may be handled again", err=True)
    if found.lost != 0:
        raise SystemExit(PARTLY)


async def _decide(
    decision: Decision, file: str, ids: tuple[str, ...], *, every: bool, done: str = "put back"
) -> None:
    """Carry out a decision about some events, or all, and say how many there were."""
    if bool(ids) == every:
        raise click.UsageError("name ids, or give --all")
    async with SqliteJournal(file) as journal:
        count = await decision(journal, ids or None)
    click.echo(f"{count} {done}", err=True)
    if count < len(set(ids)):
        raise SystemExit(PARTLY)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")


def _summary(stored: StoredPush) -> dict[str, object]:
    """Describe a push that waits, without its content."""
    states = Counter(one.state.value for one in stored.states.values())
    return {
        "id": stored.id,
        "kind": stored.push.kind.value,
        "received_at": _time(stored.push.received_at),
        "octets": len(stored.push.body) or len(stored.push.query),
        **states,
        **({"suspects": stored.suspects} if stored.suspects else {}),
    }


def _details(one: SetAside) -> dict[str, object]:
    """Describe an event that was set aside, with its content as far as it can be read."""
    push = one.push
    details: dict[str, object] = {
        "id": one.id,
        "kind": push and push.kind.value,
        "received_at": push and _time(push.received_at),
        "since": _time(one.at),
        "attempts": one.attempts,
        "reason": one.reason,
    }
    if push is None:
        return details
    if event := one.read():
        return details | {"event": json.loads(as_json(event))}
    return details | {"raw": push.body.decode(errors="backslashreplace") or push.query}
