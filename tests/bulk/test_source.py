"""A job knows its account and its source: it goes on with no other."""

import re

import pytest

from infobip_async import (
    AuthenticationError,
    LocalProtocolError,
    Outgoing,
    Recipient,
    SendOutcome,
    TextMessage,
)
from infobip_async.bulk.job import SendJob

HELLO = TextMessage("Hello", "Friend")
BYE = TextMessage("Bye", "Friend")
ROWS = [(HELLO, f"385{number}") for number in range(6)]
KEYED = [Outgoing(*row, key=f"key {at}") for at, row in enumerate(ROWS)]


@pytest.fixture
def job(tmp_path):
    """Where a job is."""
    return tmp_path / "job"


CHANGED = {
    "a row is put in front": ([(HELLO, "3859"), *ROWS], "row 1 has another number"),
    "a row is put in between": ([*ROWS[:3], (HELLO, "3859"), *ROWS[3:]], "row 4 has another"),
    "a text is edited": ([*ROWS[:2], (BYE, "3852"), *ROWS[3:]], "row 3 has another number or an"),
    "two rows are swapped": ([*ROWS[:4], ROWS[5], ROWS[4]], "row 5 has another"),
    "a row is removed": ([*ROWS[:2], *ROWS[3:]], "row 3 has another"),
    "rows at the end are removed": (ROWS[:4], "it ends after 4 rows, and the job has 6"),
    "all rows are removed": ([], "it ends after 0 rows, and the job has 6"),
    "a text with a key is edited": (
        [*KEYED[:1], Outgoing(BYE, "3851", "key 1"), *KEYED[2:]],
        "the row with a key has another",
    ),
    "a key has another number": (
        [*KEYED[:5], Outgoing(HELLO, "3859", "key 5")],
        "the row with a key has another",
    ),
}


@pytest.mark.parametrize("change", CHANGED)
async def test_another_source_ends_the_run(run, stopped, gateway, job, change):
    """Nothing is sent, and the reason names the row, and the ways out."""
    source, reason = CHANGED[change]
    await run(KEYED if "key" in change else ROWS, job=job)
    end = await stopped([*source, (BYE, "3858"), (BYE, "3859")] if source else [], job=job)
    if "it ends" in reason:  # with rows behind, the first of these differs
        end = await stopped(source, job=job)
    assert len(gateway.sent) == 6
    text = str(end.why)
    assert reason in text
    assert str(job) in text
    assert "nothing from there on was sent" in text
    assert "or take another job file" in text
    assert isinstance(end.cause, LocalProtocolError)
    assert {one.outcome for one in end.results} <= {SendOutcome.SENT, SendOutcome.NOT_SENT}
    assert all(one.resumed for one in end.results if one.outcome is SendOutcome.SENT)


@pytest.mark.parametrize("change", CHANGED)
async def test_a_source_can_be_compared_first(bulk, run, gateway, job, change):
    """Then nothing is sent at all, not even what stands in front of the difference."""
    source, reason = CHANGED[change]
    good = KEYED if "key" in change else ROWS
    await run(good, job=job)
    tries = len(gateway.tries)
    with pytest.raises(LocalProtocolError, match=re.escape(reason)):
        await bulk(source, job=job).check()
    await bulk([*good, (BYE, "3858")], job=job).check()
    assert len(gateway.tries) == tries
    results = await run([*good, (BYE, "3858")], job=job)
    assert [one.resumed for one in results] == [True] * 6 + [False]
    assert len(gateway.sent) == 7


async def test_without_a_job_there_is_nothing_to_compare(bulk, job):
    """The source is not read, and no file is made."""
    rows = iter(ROWS)
    await bulk(rows).check()
    await bulk(rows, job=job).check()
    assert list(rows) == ROWS
    assert not job.exists()


@pytest.mark.parametrize("change", ["a row is put in front", "a text is edited"])
async def test_nothing_behind_a_difference_is_sent_or_known(run, stopped, gateway, job, change):
    """Rows before it may be sent; with the source as it was, the job goes on."""
    gateway.answer = lambda _, recipients: (
        AuthenticationError("no") if gateway.requests else len(recipients)
    )
    await stopped(ROWS, job=job)  # all are known, and one was sent
    gateway.answer = lambda _, recipients: len(recipients)
    source, _ = CHANGED[change]
    await stopped([*source, (BYE, "3859")], job=job)
    before = 2 if change == "a text is edited" else 0
    assert set(gateway.sent) <= {"3850", *[number for _, number in ROWS[:before]]}
    results = await run([*ROWS, (BYE, "3858")], job=job)
    assert {one.outcome for one in results} == {SendOutcome.SENT}
    assert sorted(gateway.sent) == [number for _, number in ROWS] + ["3858"]


async def test_rows_may_be_appended(run, gateway, job):
    """They are sent, and the others are not sent again."""
    await run(ROWS[:3], job=job)
    results = await run(ROWS, job=job)
    assert [one.resumed for one in results] == [True] * 3 + [False] * 3
    assert sorted(gateway.sent) == [number for _, number in ROWS]


async def test_rows_with_keys_may_be_removed_and_moved(run, gateway, job):
    """A key says which row it is."""
    await run(KEYED[:5], job=job)
    results = await run([KEYED[5], KEYED[3], KEYED[0]], job=job)
    assert {one.item.key: one.resumed for one in results} == {
        "key 0": True,
        "key 3": True,
        "key 5": False,
    }
    assert len(gateway.sent) == 6


async def test_a_message_id_is_no_part_of_an_item(run, gateway, job):
    """It may be made anew for each run."""
    await run([Outgoing(HELLO, Recipient("3851", "first"))], job=job)
    [result] = await run([Outgoing(HELLO, Recipient("3851", "second"))], job=job)
    assert (result.resumed, result.message_ids) == (True, ("first",))


async def test_a_job_of_another_account(run, gateway, job):
    """Sends nothing: what one account has sent says nothing about another."""
    await run(ROWS, job=job)
    gateway.username = "somebody else"
    with pytest.raises(LocalProtocolError, match="is a job of another account") as caught:
        await run(ROWS, job=job)
    assert caught.value.field == "job"
    assert len(gateway.sent) == 6
    gateway.username = "user"
    assert len(await run(ROWS, job=job)) == 6


async def test_bad_items_cost_only_themselves(run, gateway, job):
    """With a job, too, and in each of its runs."""
    source = [(HELLO, 3851), (HELLO, Recipient(None)), (TextMessage("", "F"), "3853"), *ROWS]
    for _ in range(2):
        results = await run(source, job=job)
        assert [one.outcome for one in results[:3]] == [SendOutcome.REFUSED] * 3
        assert {one.outcome for one in results[3:]} == {SendOutcome.SENT}
    assert len(gateway.sent) == 6


async def test_a_job_tells_nobody_what_was_sent(run, job):
    """It has digests of numbers and texts, which are worth nothing without its key."""
    await run([(HELLO, "385985000001")], job=job)
    assert b"985000001" not in job.read_bytes()
    assert b"Hello" not in job.read_bytes()
    assert b"user" not in job.read_bytes()


async def test_digests_of_two_jobs_differ(tmp_path):
    """So that nobody can tell from two files that the same number is in both."""
    digests = []
    for name in ("one", "other"):
        async with SendJob(tmp_path / name, "user") as job:
            digests.append(job._identity.digest("3851", "Hello"))
            assert job._identity.digest("385", "1Hello") != digests[-1]
    assert digests[0] != digests[1]
