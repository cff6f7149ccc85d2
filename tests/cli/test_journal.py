"""``infobip-async journal``, and ``serve`` with a journal."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from infobip_async.cli.commands import serve
from infobip_async.journal import SqliteJournal
from infobip_async.journal.base import WHOLE_PUSH, EventState, State
from infobip_async.protocol.exchange import PushKind, RawPush

Run = Callable[..., Result]
DLR = (
    b'<DeliveryReport><message id="a" status="SENT"/><message id="b" status="SENT"/>'
    b"</DeliveryReport>"
)
POSTS = (
    RawPush(PushKind.DELIVERY_REPORTS, "", DLR, 1_700_000_000.0),
    RawPush(PushKind.HLR_REPORTS, "", b"nonsense", 1_700_000_001.0),
    RawPush(PushKind.INBOUND_SMS, "sender=1&text=a", b"", 1_700_000_002.0),
    RawPush(PushKind.INBOUND_SMS, "nonsense", b"", 1_700_000_003.0),
)


def using(path: Path, work: Callable[[SqliteJournal], Awaitable[Any]]) -> Any:
    """Do something with a journal."""

    async def use() -> Any:
        async with SqliteJournal(path) as journal:
            return await work(journal)

    return asyncio.run(use())


@pytest.mark.parametrize("command", ["journal", "deliveries"])
def test_an_empty_file_is_not_made_ours(run: Run, tmp_path: Path, command: str) -> None:
    """Who only looks at it leaves it as it is, with its mode."""
    path = tmp_path / "empty"
    path.touch(0o644)
    result = run(command, "list", path)
    assert result.exit_code == 2
    assert "is empty" in result.stderr
    assert path.read_bytes() == b""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with something of everything."""

    async def fill(journal: SqliteJournal) -> None:
        for post in POSTS:
            await journal.put(post)
        at = 1_700_000_010.0
        await journal._storage.record(
            [
                EventState(1, 1, State.DEAD, 10, "ValueError: no room", at),
                EventState(1, 0, State.FAILED, 2, "ValueError", at),
                EventState(2, WHOLE_PUSH, State.QUARANTINED, 0, "0 dlr fields", at, closes=True),
                EventState(4, 0, State.QUARANTINED, 0, "neither text nor bin", at, closes=True),
            ]
        )

    using(tmp_path / "posts.db", fill)
    return tmp_path / "posts.db"


def lines(result: Result) -> list[dict[str, Any]]:
    """What a command has printed."""
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_what_waits(run: Run, path: Path) -> None:
    """Posts that are not done with, without what they hold."""
    times = {"received_at": "2023-11-14 22:13:20+00:00"}
    assert lines(run("journal", "list", str(path))) == [
        {"id": 1, "kind": "dlr", "octets": len(DLR), "dead": 1, "failed": 1} | times,
        {
            "id": 3,
            "kind": "inbound",
            "octets": 15,
            "received_at": "2023-11-14 22:13:22+00:00",
        },
    ]


def test_suspects_can_be_discarded(run: Run, path: Path) -> None:
    """They are named where what waits is listed."""
    suspect = EventState(3, 0, State.FAILED, deaths=1)
    using(path, lambda journal: journal._storage.record([suspect]))
    _, waiting = lines(run("journal", "list", str(path)))
    assert waiting["suspects"] == ["3:0"]
    assert run("journal", "discard", str(path), "3:0", "1").exit_code == 0
    assert lines(run("journal", "list", str(path))) == [
        {"id": 3, "kind": "inbound", "octets": 15, "done": 1}
        | {"received_at": "2023-11-14 22:13:22+00:00"}
    ]


def test_dead_letters(run: Run, path: Path) -> None:
    """With the event, and why it died."""
    (dead,) = lines(run("journal", "dead", str(path)))
    event = dead.pop("event")
    assert dead == {
        "id": "1:1",
        "kind": "dlr",
        "received_at": "2023-11-14 22:13:20+00:00",
        "since": "2023-11-14 22:13:30+00:00",
        "attempts": 10,
        "reason": "ValueError: no room",
    }
    assert (event["type"], event["message_id"]) == ("DeliveryReport", "b")


def test_quarantine(run: Run, path: Path) -> None:
    """With what could not be read: a post as a whole, and one that cannot be read here either."""
    whole, row = lines(run("journal", "quarantine", str(path)))
    assert (whole["id"], whole["raw"], whole["reason"]) == ("2", "nonsense", "0 dlr fields")
    assert (row["id"], row["raw"]) == ("4:0", "nonsense")


@pytest.mark.parametrize(
    ("arguments", "code", "count"),
    [
        (("requeue", "--all"), 0, 1),
        (("requeue", "1:1"), 0, 1),
        (("requeue", "1:1", "1:1"), 0, 1),
        (("requeue", "1:1", "7"), 6, 1),
        (("replay", "--all"), 0, 2),
        (("replay", "2"), 0, 1),
        (("replay", "1:1"), 6, 0),
    ],
)
def test_putting_back(
    run: Run, path: Path, arguments: tuple[str, ...], code: int, count: int
) -> None:
    """All or some; ids of nothing are told by the exit code."""
    name, *rest = arguments
    result = run("journal", name, str(path), *rest)
    assert (result.exit_code, result.stderr) == (code, f"{count} put back\n")

    async def waiting(journal: SqliteJournal) -> int:
        return len([post async for post in journal.waiting()])

    assert using(path, waiting) == 2 + count


@pytest.mark.parametrize(
    ("ids", "code", "count"), [(("--all",), 0, 3), (("1:1", "2"), 0, 2), (("1:1", "7"), 6, 1)]
)
def test_discarding(run: Run, path: Path, ids: tuple[str, ...], code: int, count: int) -> None:
    """What was set aside is gone, and what waits is still there."""
    result = run("journal", "discard", str(path), *ids)
    assert (result.exit_code, result.stderr) == (code, f"{count} discarded\n")
    assert len(lines(run("journal", "list", str(path)))) == 2
    left = [lines(run("journal", name, str(path))) for name in ("dead", "quarantine")]
    assert sum(map(len, left)) == 3 - count


@pytest.mark.parametrize(
    "arguments", [("requeue",), ("replay", "1", "--all"), ("requeue", "x"), ("discard",)]
)
def test_no_choice(run: Run, path: Path, arguments: tuple[str, ...]) -> None:
    """Nothing is put back by mistake."""
    name, *rest = arguments
    assert run("journal", name, str(path), *rest).exit_code == 2


def test_no_journal(run: Run, tmp_path: Path) -> None:
    """A file that is not there is not made."""
    assert run("journal", "list", str(tmp_path / "posts.db")).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_journal_in_use(run: Run, path: Path) -> None:
    """It can be looked into and decided about meanwhile."""

    async def look(_: SqliteJournal) -> Result:
        return await asyncio.to_thread(run, "journal", "requeue", str(path), "--all")

    assert using(path, look).exit_code == 0


def test_counts(run: Run, path: Path) -> None:
    """In one line of JSON, with the age of what waits longest."""
    (counts,) = lines(run("journal", "stats", str(path)))
    age, octets = counts.pop("oldest_age"), counts.pop("octets")
    assert counts == {"waiting": 2, "in_work": 0, "dead": 1, "quarantined": 2} | {
        "oldest": "2023-11-14 22:13:20+00:00"
    }
    assert age > 0
    assert octets >= path.stat().st_size


def test_salvaging(run: Run, path: Path, tmp_path: Path) -> None:
    """What a new journal has is counted, and what is lost, which is in the exit code as well."""
    whole = run("journal", "salvage", str(path), str(tmp_path / "new"))
    assert (whole.exit_code, whole.stderr) == (0, "4 pushes copied, 0 cannot be read\n")
    assert (
        run("journal", "list", str(tmp_path / "new")).stdout
        == run("journal", "list", str(path)).stdout
    )


def test_serving_with_a_journal(
    run: Run, gateway: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited is printed, and what comes is printed after it was kept."""
    url = gateway.urls().delivery_reports
    body = '<DeliveryReport><message id="c" status="SENT"/></DeliveryReport>'
    journals: list[SqliteJournal] = []

    class Journal(SqliteJournal):
        def __init__(self, path: str) -> None:
            super().__init__(path)
            journals.append(self)

    async def push(_: Callable[[], None]) -> None:
        async with httpx.AsyncClient(verify=False, timeout=60) as http:
            assert (await http.post(url, content=body)).status_code == 200
        while [post async for post in journals[0].waiting()]:
            pass

    monkeypatch.setattr(serve, "SqliteJournal", Journal)
    monkeypatch.setattr(serve, "until_stopped", push)
    printed = lines(run("serve", "--bind", f"127.0.0.1:{gateway.port}", "--journal", str(path)))
    assert sorted(event.get("message_id") or event["text"] for event in printed) == ["a", "a", "c"]
