"""Posts that come again, since the gateway has not seen our answer."""

import pytest

from infobip_async.journal.base import DEDUP_WINDOW
from infobip_async.journal.reading import digests_of
from infobip_async.models.events import DeliveryReport, HlrReport, InboundSms, UnreadableRow
from infobip_async.protocol.push import PushFormat, decode

HOUR = 3600.0


@pytest.mark.parametrize(
    ("hours", "times"),
    [((0, 0), 1), ((0, 25), 1), ((0, 25.9), 1), ((0, 26), 2), ((0, 20, 40), 1), ((0, 26, 30), 2)],
)
async def test_rows_within_26_hours(bench, hours, times):
    """They are acknowledged and not handled again; each time counts from the last one."""
    got = bench.record(HlrReport)
    start = bench.time.now
    journal = await bench.start()
    for hour in hours:
        bench.time.now = start + hour * HOUR
        await journal.put(bench.hlr("38598303174"))
        await bench.emptied(journal)
    assert len(got.events) == times


async def test_rows_over_a_restart(bench):
    """What came before is remembered by the file."""
    got = bench.record(DeliveryReport)
    for _ in range(2):
        journal = await bench.start()
        await journal.put(bench.reports("a", "b"))
        await bench.emptied(journal)
        await bench.stop()
    assert got.ids == ["a", "b"]


async def test_rows_that_are_equal_in_one_post(bench):
    """Each counts as often as it occurs: a third one is new."""
    got = bench.record(DeliveryReport)
    journal = await bench.start()
    await journal.put(bench.reports("a", "a"))
    await journal.put(bench.reports("a", "a", "a", "b"))
    await bench.emptied(journal)
    assert sorted(got.ids) == ["a", "a", "a", "b"]


async def test_rows_that_differ(bench):
    """Another status of the same message is another row."""
    got = bench.record(DeliveryReport)
    journal = await bench.start()
    await journal.put(bench.reports("a", status="NOT_SENT"))
    await journal.put(bench.reports("a", status="DELIVERED"))
    await bench.emptied(journal)
    assert len(got.events) == 2


async def test_a_duplicate_of_what_is_not_yet_handled(bench):
    """It is one all the same: the first is in the journal."""
    got = bench.record(DeliveryReport)
    async with bench.journal() as journal:
        await journal.put(bench.reports("a"))
        await journal.put(bench.reports("a"))
    journal = await bench.start()
    await bench.emptied(journal)
    assert got.ids == ["a"]


async def test_a_post_is_no_duplicate_of_itself(bench):
    """What was read and not handled before a crash is handled after it."""
    got = bench.record(DeliveryReport)
    journal = await bench.start(stop_timeout=0.01)

    async def lost(_):
        raise OSError

    journal._storage.record = lost
    await journal.put(bench.reports("a"))
    await got.wait_for(1)
    await bench.pause(2)
    await bench.stop()
    journal = await bench.start()
    await bench.emptied(journal)
    assert got.ids == ["a", "a"]


async def test_equal_inbound_messages(bench):
    """Both can be real: the second is told to be possibly none."""
    got = bench.record(InboundSms)
    journal = await bench.start()
    for query in ("sender=1&text=yes", "text=yes&sender=1", "sender=1&text=no"):
        await journal.put(bench.inbound(query))
    await bench.emptied(journal)
    assert [(sms.text, sms.possible_duplicate) for sms in got.events] == [
        ("yes", False),
        ("yes", True),
        ("no", False),
    ]


async def test_unreadable_rows(bench):
    """Those that came before are not told twice; posts that cannot be read at all are."""
    told = bench.record(UnreadableRow)
    journal = await bench.start()
    for _ in range(2):
        await journal.put(bench.push(bench.kinds.HLR_REPORTS, body=b"dlr=nonsense"))
        await journal.put(bench.push(bench.kinds.HLR_REPORTS, body=b"nonsense"))
    await bench.emptied(journal)
    assert sorted(told.ids) == ["0 dlr fields instead of one"] * 2 + ["1 fields instead of 6"]


async def test_the_memory_is_bounded(bench):
    """Rows beyond their time are forgotten as others come."""
    journal = await bench.start()
    for hour in range(0, 40, 2):
        await journal.put(bench.reports(*(f"{hour}-{n}" for n in range(10))))
        bench.time.go_on(2 * HOUR)
        await bench.emptied(journal)
    seen = await journal._thread.do(lambda c: c.execute("select count(*) from seen").fetchone())
    assert seen == (130,)


async def test_another_time(bench):
    """It can be set."""
    bench.settings["dedup_window"] = 60.0
    got = bench.record(DeliveryReport)
    journal = await bench.start()
    for _ in range(2):
        await journal.put(bench.reports("a"))
        bench.time.now += 60.0
        await bench.emptied(journal)
    assert len(got.events) == 2


def test_digests(bench):
    """They depend on every field, on the type, and on nothing that can change by itself."""
    body = (
        '<DeliveryReport><message id="a" status="{}" sentdate="{}" donedate="{}" {}/>'
        "</DeliveryReport>"
    )
    variants = [
        ("SENT", "2005/7/19 22:0:0", "", ""),
        ("SENT", "", "2005/7/19 22:0:0", ""),
        ("SENT", "", "", ""),
        ("sent", "", "", ""),
        ("SENT", "", "", 'price="1"'),
        ("SENT", "", "", 'gsmerror="1"'),
    ]
    rows = [
        bench.push(bench.kinds.DELIVERY_REPORTS, body=body.format(*values).encode())
        for values in variants
    ]
    rows += [bench.push(bench.kinds.HLR_REPORTS, body=f"dlr={row}".encode()) for row in HLR_ROWS]
    rows += [bench.inbound("sender=a&text=b"), bench.inbound("sender=a&text=b&esmclass=0")]
    digests = [digests_of(decode(row, PushFormat()))[0] for row in rows]
    assert len(set(digests)) == len(rows)
    assert digests[0] == digests_of(decode(rows[0], PushFormat()))[0]
    assert {len(digest) for digest in digests} == {16}


HLR_ROWS = ["a;;;;;", ";a;;;;", "a;b;;;;", "a;b;c;;;", "a;b;c;d;;", "a;b;c;;d;", "a;b;c;;;d", "a"]


def test_the_time_is_of_the_gateway():
    """It sends again for 24 hours and 6 minutes (§3.1)."""
    assert 24 * HOUR + 360 < DEDUP_WINDOW == 26 * HOUR
