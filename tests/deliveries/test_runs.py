"""The deliveries of a run are its record: the rules of jobs, without a second file."""

import asyncio

import pytest

from deliveries_support import HELLO, NUMBER, Client, report
from infobip_async import (
    AuthenticationError,
    Deliveries,
    LocalProtocolError,
    OutcomeUnknownError,
    Outgoing,
    Router,
    RunStoppedError,
    SendOutcome,
    SendResult,
    SqliteDeliveryStore,
    StorageUnavailableError,
    TextMessage,
)

SENT, UNKNOWN, NOT_SENT = SendOutcome.SENT, SendOutcome.UNKNOWN, SendOutcome.NOT_SENT
BYE = TextMessage("Bye", "Friend")
ROWS = [(HELLO, f"3859851467{number}") for number in range(6)]
KEYED = [Outgoing(*row, key=f"key {at}") for at, row in enumerate(ROWS)]


async def drain(run, found: list[SendResult]) -> None:
    """Take results, and have those that come before a fault."""
    async for result in run:
        found.append(result)  # noqa: PERF401 - a comprehension loses them


@pytest.fixture
def run(make):
    """Run a send to its end, and give all of its results."""

    async def run(source, name: str = "may", **options) -> list[SendResult]:
        async with make() as deliveries:
            return [one async for one in deliveries.send_many(source, run=name, **options)]

    return run


@pytest.fixture
def stopped(make):
    """Run a send that cannot go on, and give its results and the reason."""

    async def stopped(source, name: str = "may", **options):
        found: list[SendResult] = []
        async with make() as deliveries:
            with pytest.raises(RunStoppedError) as caught:
                await drain(deliveries.send_many(source, run=name, **options), found)
        return found, caught.value

    return stopped


async def test_items_are_deliveries(make, router: Router) -> None:
    """Found by key or position, and followed to their end."""
    async with make() as deliveries:
        source = [KEYED[0], ROWS[1]]
        results = [one async for one in deliveries.send_many(source, run="may")]
        for result in results:
            await router.dispatch([report(*result.message_ids)])
        keyed = await deliveries.get(key="key 0", run="may")
        assert (keyed.key, keyed.run, keyed.delivered) == ("key 0", "may", True)
        other = await deliveries.wait(key=1, run="may")
        assert (other.key, other.msisdn, other.outcome) == (None, ROWS[1][1], SENT)
        assert await deliveries.get(key="key 0") is None
        assert (await deliveries.counts()).delivered == 2


async def test_a_finished_run_sends_nothing_again(run, client: Client) -> None:
    """Its outcomes are given again; what is appended is sent."""
    first = await run(ROWS[:4])
    second = await run(ROWS)
    assert [one.resumed for one in second] == [True] * 4 + [False] * 2
    assert {one.outcome for one in second} == {SENT}
    assert {one.message_ids for one in first} <= {one.message_ids for one in second}
    assert len(client.sent) == 6


async def test_runs_know_nothing_of_each_other(run, client: Client) -> None:
    """The same keys, another run; and without a name each run is one of its own."""
    for name in ("april", "may", None, None):
        results = await run(KEYED, name)
        assert {one.resumed for one in results} == {False}
    assert len(client.sent) == 4 * 6


async def test_what_was_not_sent_is_sent_by_the_next_run(run, stopped, client: Client) -> None:
    """Refused for the account's sake, it was never sent; nor was what was only read."""
    client.answer = AuthenticationError("no")
    found, why = await stopped(ROWS)
    assert {one.outcome for one in found} == {NOT_SENT}
    assert isinstance(why.__cause__, AuthenticationError)
    client.answer = None
    client.sent.clear()
    results = await run(ROWS)
    assert {(one.outcome, one.resumed) for one in results} == {(SENT, False)}
    assert len(client.sent) == 6


@pytest.mark.parametrize(("on_unknown", "outcome"), [("report", UNKNOWN), ("repeat", SENT)])
async def test_an_unknown_outcome_is_the_callers_choice(run, client, on_unknown, outcome) -> None:
    """Reported as unknown again, or sent once more."""
    client.answer = OutcomeUnknownError("lost")
    await run(ROWS[:1])
    client.answer = None
    [result] = await run(ROWS[:1], on_unknown=on_unknown)
    assert result.outcome is outcome
    assert len(client.sent) == (1 if outcome is UNKNOWN else 2)


async def test_a_report_settles_an_unknown_outcome(run, client: Client, make, router) -> None:
    """The next run knows that it was sent."""
    client.answer = OutcomeUnknownError("lost")
    [first] = await run(ROWS[:1])
    async with make():
        await router.dispatch([report(*first.message_ids)])
    [second] = await run(ROWS[:1], on_unknown="repeat")
    assert (second.outcome, second.resumed) == (SENT, True)
    assert second.reason == "a delivery report proves it"
    assert len(client.sent) == 1


async def test_an_intent_without_an_outcome_is_unknown(make, run, client: Client) -> None:
    """What was under way when a run died may have been sent."""
    client.meanwhile = lambda _: asyncio.Event().wait()
    async with make(stop_timeout=0) as deliveries:
        results = deliveries.send_many(ROWS[:1], run="may", stop_timeout=0)
        waiting = asyncio.create_task(anext(results))
        while not client.sent:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await results.aclose()
    [result] = await run(ROWS[:1])
    assert (result.outcome, result.resumed) == (UNKNOWN, True)
    assert len(client.sent) == 1


CHANGED = {
    "a row in front": ([(HELLO, NUMBER), *ROWS], "row 1 has another number"),
    "a text is edited": ([*ROWS[:2], (BYE, ROWS[2][1]), *ROWS[3:]], "row 3 has another number"),
    "rows are removed": (ROWS[:4], "it ends after 4 rows"),
    "a key has another text": (
        [Outgoing(BYE, ROWS[5][1], "key 5")],
        "the row with a key has another",
    ),
}


@pytest.mark.parametrize("change", CHANGED)
async def test_another_source_ends_the_run(run, stopped, make, client: Client, change) -> None:
    """Nothing more is sent, and the reason names the row and the ways out; so does a check."""
    source, reason = CHANGED[change]
    await run(KEYED if "key" in change else ROWS)
    _, why = await stopped(source)
    assert reason in str(why)
    assert "take another name" in str(why)
    assert isinstance(why.__cause__, LocalProtocolError)
    async with make() as deliveries:
        with pytest.raises(LocalProtocolError, match="not the source of the run 'may'"):
            await deliveries.send_many(source, run="may").check()
        await deliveries.send_many(source, run="june").check()
        assert (await deliveries.counts()).total == 6
    assert len(client.sent) == 6


async def test_another_account(run, stopped, client: Client) -> None:
    """What one account has sent says nothing about another."""
    await run(ROWS)
    client.username = "somebody else"
    _, why = await stopped(ROWS)
    assert "another account sent it" in str(why)
    assert len(client.sent) == 6


async def test_a_key_stands_for_one_item(run, client: Client) -> None:
    """The second item with a key is a mistake of the caller's."""
    for _ in range(2):
        results = await run([KEYED[0], Outgoing(HELLO, NUMBER, "key 0")])
        assert sorted(one.outcome.value for one in results) == ["refused", "sent"]
    assert len(client.sent) == 1


async def test_a_run_that_is_going_on(make, client: Client) -> None:
    """In the same process it cannot begin twice."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def pause(_) -> None:
        begun.set()
        await go_on.wait()

    client.meanwhile = pause
    async with make() as deliveries:
        first = asyncio.create_task(drain(deliveries.send_many(ROWS, run="may"), []))
        await begun.wait()
        with pytest.raises(StorageUnavailableError, match="is going on"):
            await drain(deliveries.send_many(ROWS, run="may"), [])
        go_on.set()
        await first
    assert len(client.sent) == 6


async def test_another_process_takes_the_run_over(make, client: Client, store, clock) -> None:
    """The one that met an item later sends it, and the other ends: nothing is sent twice."""
    more, both = asyncio.Event(), asyncio.Event()

    async def slow():
        yield ROWS[0]
        await more.wait()
        yield ROWS[1]

    if isinstance(store, SqliteDeliveryStore):
        store = SqliteDeliveryStore(store.path)
    async with make() as first, Deliveries(client, Router(), store=store, clock=clock) as second:
        found: list[SendResult] = []
        run = asyncio.create_task(drain(first.send_many(slow(), run="may"), found))
        while not found:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.001)
        client.meanwhile = lambda _: both.wait()
        other: list[SendResult] = []
        taking = asyncio.create_task(drain(second.send_many(ROWS[:2], run="may"), other))
        while len(client.sent) < 2:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.001)
        more.set()
        both.set()
        await asyncio.gather(taking, run, return_exceptions=True)
    assert [one.outcome for one in other] == [SENT] * 2
    assert sorted(one.msisdn for one in client.sent) == [number for _, number in ROWS[:2]]


async def test_excluded_items_are_not_sent(run, client: Client, make) -> None:
    """They stay as not sent."""
    results = await run(ROWS[:2], exclude={ROWS[0][1]})
    assert {one.outcome for one in results} == {SENT, SendOutcome.EXCLUDED}
    async with make() as deliveries:
        counts = await deliveries.counts()
    assert (counts.not_sent, counts.waiting) == (1, 1)
