"""``infobip-async journal``: look into a journal that is not served, and decide on what it has."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import click

from infobip_async import RemoteProtocolError
from infobip_async.cli.running import PARTLY, as_json, runs
from infobip_async.journal import SetAside, SqliteJournal, StoredPush
from infobip_async.journal.base import WHOLE_PUSH
from infobip_async.models import Event
from infobip_async.protocol.push import PushFormat, decode

_file = click.argument("file", type=click.Path(exists=True, dir_okay=False))


@click.group("journal")
def command() -> None:
    """See what a journal keeps, and have it handled again, or forgotten.

    The file must not be in use: stop the receiver first. What is put back is handled when it is
    started again.
    """


@command.command("list")
@_file
@runs
async def list_(file: str) -> None:
    """Print the posts that wait to be handled, a JSON line for each."""
    async with SqliteJournal(file) as journal:
        async for post in journal.waiting():
            click.echo(json.dumps(_summary(post)))


@command.command("dead")
@_file
@runs
async def dead(file: str) -> None:
    """Print the dead letters, a JSON line for each."""
    async with SqliteJournal(file) as journal:
        async for one in journal.dead():
            click.echo(json.dumps(_details(one), ensure_ascii=False))


@command.command("quarantine")
@_file
@runs
async def quarantine(file: str) -> None:
    """Print what could not be read, a JSON line for each."""
    async with SqliteJournal(file) as journal:
        async for one in journal.quarantine():
            click.echo(json.dumps(_details(one), ensure_ascii=False))


def _choice(decide: Callable[..., None]) -> Callable[..., None]:
    """The ids that a command is for, or the option that it is for all."""
    every = click.option("--all", "every", is_flag=True, help="All there are.")
    return _file(click.argument("ids", nargs=-1)(every(decide)))


@command.command("requeue")
@_choice
@runs
async def requeue(file: str, ids: tuple[str, ...], *, every: bool) -> None:
    """Have dead letters handled again: those with the IDS, or all."""
    chosen = _chosen(ids, every=every)
    async with SqliteJournal(file) as journal:
        _tell(await journal.requeue(chosen), "put back", ids)


@command.command("replay")
@_choice
@runs
async def replay(file: str, ids: tuple[str, ...], *, every: bool) -> None:
    """Read what is in quarantine again: that with the IDS, or all."""
    chosen = _chosen(ids, every=every)
    async with SqliteJournal(file) as journal:
        _tell(await journal.replay(chosen), "put back", ids)


@command.command("discard")
@_choice
@runs
async def discard(file: str, ids: tuple[str, ...], *, every: bool) -> None:
    """Forget dead letters, and what is in quarantine: those with the IDS, or all."""
    chosen = _chosen(ids, every=every)
    async with SqliteJournal(file) as journal:
        _tell(await journal.discard(chosen), "discarded", ids)


def _chosen(ids: tuple[str, ...], *, every: bool) -> tuple[str, ...] | None:
    if bool(ids) == every:
        raise click.UsageError("name ids, or give --all")
    return ids or None


def _tell(count: int, done: str, ids: tuple[str, ...]) -> None:
    click.echo(f"{count} {done}", err=True)
    if count < len(set(ids)):
        raise SystemExit(PARTLY)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")


def _summary(post: StoredPush) -> dict[str, object]:
    """What is known of a post that waits, without what it holds."""
    states = Counter(one.state.value for one in post.states.values())
    return {
        "id": post.id,
        "kind": post.push.kind.value,
        "received_at": _time(post.push.received_at),
        "octets": len(post.push.body) or len(post.push.query),
        **states,
    }


def _details(one: SetAside) -> dict[str, object]:
    """An event that was set aside, with what it holds as far as it can be read."""
    details: dict[str, object] = {
        "id": one.id,
        "kind": one.push.kind.value,
        "received_at": _time(one.push.received_at),
        "since": _time(one.at),
        "attempts": one.attempts,
        "reason": one.reason,
    }
    if event := _event(one):
        return details | {"event": json.loads(as_json(event))}
    return details | {"raw": one.push.body.decode(errors="backslashreplace") or one.push.query}


def _event(one: SetAside) -> Event | None:
    if one.number == WHOLE_PUSH:
        return None
    try:
        return decode(one.push, PushFormat())[one.number]
    except (RemoteProtocolError, IndexError):
        return None
