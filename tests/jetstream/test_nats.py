"""What a journal in JetStream does beyond what every journal does."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial

import attrs
import pytest
from aiohttp import ClientSession
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from infobip_async.errors import LocalProtocolError, StorageUnavailableError
from infobip_async.jetstream import NatsJournal, lease
from infobip_async.jetstream.connection import Connection
from infobip_async.jetstream.options import ConnectOptions
from infobip_async.journal import HandlerSettings
from infobip_async.journal.base import EventState, State, StoredPush
from infobip_async.models.events import Event, HlrReport, HlrStatus, InboundSms
from infobip_async.protocol import hlr_dlr
from infobip_async.protocol.exchange import PushKind, RawPush
from infobip_async.protocol.push import PushFormat, decode
from infobip_async.receiver import health
from infobip_async.router import Router
from infobip_async.telemetry import Telemetry
from infobip_async.webhook import listening, webhook_app
from tests.jetstream.conftest import LIMIT, Server, found, until

QUICK = HandlerSettings(first_delay=0.02, stop_timeout=0.1, attempts=2)


def post(*numbers: str, tail: bytes = b"") -> RawPush:
    """A post of HLR reports."""
    rows = [HlrReport(one, f"id-{one}", HlrStatus.DELIVRD, "DELIVRD") for one in numbers]
    return RawPush(PushKind.HLR_REPORTS, "", hlr_dlr.encode_push(rows) + tail, time.time())


def inbound(sender: str) -> RawPush:
    """A forwarded SMS."""
    query = f"sender={sender}&receiver=41793026727&text=Hi"
    return RawPush(PushKind.INBOUND_SMS, query, b"", time.time())


@attrs.define
class Bench:
    """Journals on one broker, and what their handlers got."""

    access: ConnectOptions
    events: list[Event] = attrs.field(factory=list)
    act: Callable[[Event], object] = lambda _: None
    stack: AsyncExitStack = attrs.field(factory=AsyncExitStack)

    def router(self) -> Router:
        """A router whose handlers do as they are told."""
        router = Router()
        for kind in (HlrReport, InboundSms):
            router.on(kind)(self._take)
        return router

    async def _take(self, event: Event) -> None:
        outcome = self.act(event)
        if asyncio.iscoroutine(outcome):
            await outcome
        self.events.append(event)

    def journal(self, **settings: object) -> NatsJournal:
        """A journal that is not served."""
        return NatsJournal(self.access, **{"settings": QUICK, "ack_wait": LIMIT} | settings)

    async def start(self, stack: AsyncExitStack | None = None, **settings: object) -> NatsJournal:
        """Serve a journal until the end of the test."""
        journal = self.journal(**settings)
        serving = journal.serve(self.router(), partial(decode, settings=PushFormat()))
        await (stack or self.stack).enter_async_context(serving)
        return journal

    @property
    def numbers(self) -> list[str]:
        """The numbers of the reports that were handled."""
        return [event.destination for event in self.events if isinstance(event, HlrReport)]


async def filled(listing: Callable[[], object], count: int) -> list[object]:
    """What a listing holds, when it holds so much."""
    async with asyncio.timeout(LIMIT):
        while len(found := [one async for one in listing()]) != count:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
    return found


@pytest.fixture
async def bench(access) -> AsyncIterator[Bench]:
    """Everything, which is stopped after the test."""
    bench = Bench(access)
    async with bench.stack:
        yield bench


async def refuse_two(event: Event) -> None:
    """Fail on some numbers."""
    if isinstance(event, HlrReport) and event.destination in {"2", "3"}:
        raise RuntimeError("as\nit is to be \ud800")


async def test_dead_letters_are_kept_by_event_and_put_back_by_event(bench: Bench) -> None:
    """The neighbours of an event that fails are handled once."""
    bench.act = refuse_two
    journal = await bench.start()
    push = post("1", "2", "3")
    await journal.put(push)
    dead = await filled(journal.dead, 2)
    assert [one.id for one in dead] == ["1:1", "1:2"]
    assert [(one.number, one.attempts, one.push) for one in dead] == [(1, 2, push), (2, 2, push)]
    assert "as it is to be \\ud800" in dead[0].reason
    bench.act = lambda _: None
    assert await journal.requeue(["1:2"]) == 1
    await until(lambda: "3" in bench.numbers)
    assert [one.number for one in await filled(journal.dead, 1)] == [1]
    assert await journal.requeue() == 1
    await until(lambda: "2" in bench.numbers)
    assert await filled(journal.dead, 0) == []
    assert sorted(bench.numbers) == ["1", "2", "3"]
    assert await journal.requeue(["1:2", "7"]) == 0
    with pytest.raises(LocalProtocolError):
        await journal.requeue(["one"])


async def test_counts_of_all_processes(bench: Bench) -> None:
    """What waits, since when, and what is set aside, whichever process has it."""
    bench.act = refuse_two
    async with bench.journal() as journal:
        before = time.time()
        for number in ("1", "2"):
            await journal.put(post(number))
        counts = await journal.counts()
        assert (counts.waiting, counts.in_work, counts.dead) == (2, 0, 0)
        assert before - 1 < counts.oldest < time.time() + 1
        assert counts.octets > 0
        await bench.start()
        await filled(journal.dead, 1)
        await found((0, None, 1), partial(waiting_oldest_and_dead, journal))
        await journal._connection.call(lambda js: js.delete_stream("infobip_set_aside"))
        with pytest.raises(StorageUnavailableError):
            await journal.counts()


async def waiting_oldest_and_dead(journal: NatsJournal) -> tuple[int, float | None, int]:
    """Three of the counts."""
    counts = await journal.counts()
    return counts.waiting, counts.oldest, counts.dead


async def test_levels_of_a_journal_reach_metrics(bench: Bench) -> None:
    """They are those of an SQLite journal."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    router = Router(telemetry=Telemetry(meter_provider=meters))
    journal = bench.journal()
    wanted = {"infobip.journal.events", "infobip.journal.age", "infobip.journal.size"}

    def names() -> set[str]:
        data = reader.get_metrics_data()
        several = data.resource_metrics if data else ()
        return {
            one.name for some in several for scope in some.scope_metrics for one in scope.metrics
        }

    async with journal.serve(router, partial(decode, settings=PushFormat())):
        await until(lambda: wanted <= names())
    assert not wanted & names()


async def test_what_is_discarded_is_forgotten(bench: Bench) -> None:
    """By its ids, or all; its neighbours stay."""
    bench.act = refuse_two
    journal = await bench.start()
    await journal.put(post("1", "2", "3", tail=b"\nno row"))
    await filled(journal.dead, 2)
    (row,) = await filled(journal.quarantine, 1)
    assert await journal.discard(["1:1", "1:1", "99"]) == 1
    assert [one.number for one in await filled(journal.dead, 1)] == [2]
    assert await journal.discard([row.id]) == 1
    assert await filled(journal.quarantine, 0) == []
    assert await journal.discard() == 1
    assert await filled(journal.dead, 0) == []
    assert bench.numbers == ["1"]


async def test_quarantine_is_replayed(bench: Bench) -> None:
    """A row that cannot be read costs its neighbours nothing, and waits for a better parser."""
    journal = await bench.start()
    await journal.put(post("1", tail=b"\nno row"))
    (row,) = await filled(journal.quarantine, 1)
    assert row.number == 1
    assert await filled(journal.dead, 0) == []
    assert await journal.requeue([row.id]) == 0  # it is no dead letter
    assert await journal.replay([row.id]) == 1
    assert len(await filled(journal.quarantine, 1)) == 1  # it can still not be read
    whole = RawPush(PushKind.DELIVERY_REPORTS, "a=b", b"<no", 1.25, {"tracestate": "é=\n"})
    await journal.put(whole)
    _, post_ = await filled(journal.quarantine, 2)
    assert (post_.push, post_.number) == (whole, -1)
    assert ":" not in post_.id


async def test_workers_share_the_posts(bench: Bench) -> None:
    """Each post is handled by one of them, though another process took it in."""
    first = await bench.start(handles=False)
    await bench.start()
    await bench.start()
    numbers = [str(number) for number in range(200)]
    for number in numbers:
        await first.put(post(number))
    await until(lambda: len(bench.events) >= 200)
    assert sorted(bench.numbers) == sorted(numbers)


async def test_the_broker_hears_of_long_handlers(bench: Bench, monkeypatch) -> None:
    """Again and again, so that it gives their post to nobody else."""
    monkeypatch.setattr(lease, "_HEARTBEATS", 10_000)
    bench.act = lambda _: asyncio.Event().wait()
    journal = await bench.start()
    heard = asyncio.Queue()
    await journal._connection.client.subscribe("$JS.ACK.>", cb=heard.put)
    await journal.put(post("1"))
    async with asyncio.timeout(LIMIT):
        beats = [await heard.get() for _ in range(3)]
    assert {beat.data for beat in beats} == {b"+WPI"}
    assert len({beat.subject for beat in beats}) == 1


@pytest.mark.proof
async def test_long_handlers_keep_their_post(bench: Bench) -> None:
    """A post is not given to another worker while its handler takes its time."""
    bench.act = lambda _: asyncio.sleep(11)
    journal = await bench.start(ack_wait=5)
    await bench.start(ack_wait=5)
    await journal.put(post("1"))
    await until(lambda: bench.events)
    assert bench.numbers == ["1"]
    info = await journal._connection.call(lambda js: js.consumer_info("infobip", "handlers"))
    assert info.delivered.consumer_seq == 1


async def test_what_a_stopped_worker_had_goes_to_another_at_once(bench: Bench) -> None:
    """Without the wait for a sign of life; of an inbound SMS it is said that it may be known."""
    hung = asyncio.Event()

    async def hang(_: Event) -> None:
        hung.set()
        await asyncio.Event().wait()

    async with AsyncExitStack() as stack:
        bench.act = hang
        journal = await bench.start(stack)
        await journal.put(inbound("38598123123"))
        await hung.wait()
        bench.act = lambda _: None
    await bench.start()
    await until(lambda: bench.events)
    assert bench.events[0].possible_duplicate
    # What comes for the first time is not said to be known.
    await (await bench.start()).put(inbound("38598123124"))
    await until(lambda: len(bench.events) == 2)
    assert not bench.events[1].possible_duplicate


async def test_no_purge_keeps_what_a_stopped_worker_gave_back_from_others(bench: Bench) -> None:
    """The broker would forget that it was given back, and so it would come after `ack_wait`."""
    hung = asyncio.Event()

    async def hang(_: Event) -> None:
        hung.set()
        await asyncio.Event().wait()

    bench.act = hang
    async with AsyncExitStack() as stack:
        journal = await bench.start(stack, ack_wait=10 * LIMIT)
        await journal.put(post("1"))
        await hung.wait()
    async with bench.journal() as journal:
        await journal.purge()
    bench.act = lambda _: None
    await bench.start()
    await until(lambda: bench.numbers == ["1"])


async def test_a_post_that_workers_die_of_is_a_dead_letter(bench: Bench) -> None:
    """It does not go round for ever."""
    hung = asyncio.Event()

    async def hang(_: Event) -> None:
        hung.set()
        await asyncio.Event().wait()

    bench.act = hang
    for _ in range(2):
        async with AsyncExitStack() as stack:
            journal = await bench.start(stack, max_deliveries=2)
            hung.clear()
            await journal.put(post("1"))
            await hung.wait()
    journal = await bench.start(max_deliveries=2)
    (dead,) = await filled(journal.dead, 1)
    assert (dead.id, dead.reason) == ("1", "given to workers 2 times")
    bench.act = lambda _: None
    assert await journal.requeue() == 1
    await until(lambda: bench.numbers == ["1"])


async def test_posts_that_were_given_out_again_and_again_are_handled_alone(bench: Bench) -> None:
    """One of them may be the reason; what came after them waits meanwhile."""
    together: list[set[str]] = []
    now: set[str] = set()

    async def watch(event: Event) -> None:
        now.add(event.destination)
        await asyncio.sleep(0)
        together.append(set(now))
        now.discard(event.destination)

    bench.act = lambda _: asyncio.Event().wait()
    for _ in range(2):
        async with AsyncExitStack() as stack:
            journal = await bench.start(stack)
            for number in ("1", "2"):
                await journal.put(post(number))
            await until(lambda: len(journal._storage._lease) == 2)  # noqa: B023 - as above
    bench.act = watch
    journal = await bench.start()
    await until(lambda: len(bench.events) == 2)
    await journal.put(post("3", "4"))
    await until(lambda: len(bench.events) == 4)
    assert sorted(together[:2], key=str) == [{"1"}, {"2"}]
    assert {"3", "4"} in together


async def test_the_broker_knows_what_became_of_each_event_of_a_suspect_push(bench: Bench) -> None:
    """Whoever gets the push next goes on from there, until the push is done with."""
    taken: list[StoredPush] = []
    for number in range(5):
        journal = bench.journal()
        storage = journal._storage
        async with journal, storage.taking():
            if not number:
                await journal.put(post("1", "2", "3", "4"))
            await storage.wait()
            taken += await storage.take(1)
            failed, done, dead = (
                EventState(1, 0, State.FAILED, attempts=number, deaths=number),
                EventState(1, 1, State.DONE),
                EventState(1, 2, State.DEAD),
            )
            await storage.record([done] if number == 3 else [failed, dead])
            if number == 4:
                await storage.record([EventState(1, 3, State.DONE, closes=True)])
                assert not storage._suspects._pushes
    assert [one.deaths for one in taken] == [0, 0, 1, 1, 1]
    failed = EventState(1, 0, State.FAILED, attempts=2, deaths=2)
    done = EventState(1, 1, State.DONE)
    assert [one.states for one in taken] == [{}, {}, {}, {0: failed}, {0: failed, 1: done}]


async def test_a_message_that_is_no_post(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody else has written it into the stream; it stops nothing."""
    journal = await bench.start()
    client = journal._connection.client
    await client.jetstream().publish("infobip.push.nonsense", b"nonsense")
    await client.jetstream().publish("infobip.push.hlr", b"", headers={"Infobip-Received": "now"})
    await journal.put(post("1"))
    await until(lambda: bench.events)
    assert caplog.text.count("a message of the stream is no push: ValueError") == 1  # a minute
    assert not journal._storage._lease._messages.keys() & {1, 2}


async def test_a_broker_that_dies_under_work_costs_nothing(bench: Bench, server) -> None:
    """What is in hand is handled once, and said so when the broker is back."""
    journal = await bench.start()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def act(_: Event) -> None:
        begun.set()
        await go_on.wait()

    bench.act = act
    await journal.put(post("1"))
    await begun.wait()
    await server.kill()
    go_on.set()
    await until(lambda: bench.events)
    with pytest.raises(StorageUnavailableError):
        await journal.put(post("2"))
    await server.start()
    await until(lambda: journal._connection.ready)
    await journal.put(post("2"))
    await until(lambda: len(bench.events) > 1)

    async def acknowledged() -> int:
        info = await journal._connection.call(lambda js: js.consumer_info("infobip", "handlers"))
        return info.ack_floor.stream_seq

    await found(2, acknowledged)
    assert bench.numbers == ["1", "2"]


async def test_old_posts_are_forgotten_when_they_are_handled(bench: Bench) -> None:
    """And not before."""
    bench.act = refuse_two
    settings = attrs.evolve(QUICK, first_delay=60.0)
    journal = await bench.start(settings=settings)
    await journal.put(post("1"))
    await journal.put(post("2"))
    await until(lambda: bench.events)

    async def first() -> int:
        await journal.purge()
        info = await journal._connection.call(lambda js: js.stream_info("infobip"))
        return info.state.first_seq

    assert await first() == 1  # too young
    journal._dedup_window = 0.0
    await found(2, first)
    await journal.put(post("4"))
    await until(lambda: "4" in bench.numbers)
    assert await first() == 2  # it is in work


async def test_ids_tell_accounts_and_bodies_apart(bench: Bench) -> None:
    """The same body is another post for another account."""
    ours = await bench.start()
    theirs = await bench.start(account="theirs", handles=False)
    for journal in (ours, theirs, ours, theirs):
        await journal.put(post("1"))
    await ours.put(post("2"))
    await until(lambda: "2" in bench.numbers)
    assert bench.numbers.count("1") == 2


async def test_what_is_too_big_is_refused(bench: Bench) -> None:
    """Before the broker would end the connection."""
    journal = await bench.start()
    with pytest.raises(StorageUnavailableError, match="max_payload"):
        await journal.put(RawPush(PushKind.HLR_REPORTS, "", bytes(4 << 20), 0.0))


async def test_whole_messages_are_refused(bench: Bench) -> None:
    """Parts go to any worker."""
    router = Router()
    router.on(InboundSms, whole=True)(bench._take)
    with pytest.raises(LocalProtocolError, match="whole"):
        async with bench.journal().serve(router, lambda _: ()):
            pass


async def test_a_full_stream_refuses(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """It does not forget what is older; and a stream that was made by others is left as it is."""

    async def make(connection: Connection) -> None:
        call = {"name": "infobip", "subjects": ["infobip.push.*"], "max_msgs": 1, "discard": "new"}
        await connection.call(lambda js: js.add_stream(**call))

    async with Connection(bench.access, make):
        pass
    journal = await bench.start(handles=False)
    assert "shorter duplicate_window" in caplog.text
    await journal.put(post("1"))
    with pytest.raises(StorageUnavailableError, match="maximum messages exceeded"):
        await journal.put(post("2"))


async def test_another_stream_cannot_take_the_posts(bench: Bench) -> None:
    """The acknowledgement has to be of the stream that was meant."""
    journal = await bench.start(handles=False)

    async def swap(js: object) -> None:
        await js.delete_stream("infobip")
        await js.add_stream(name="strangers", subjects=["infobip.push.*"])

    await journal._connection.call(swap)
    with pytest.raises(StorageUnavailableError, match="expected stream does not match"):
        await journal.put(post("1"))


async def test_looking_into_it_needs_the_broker(
    bench: Bench, server, hasty: ConnectOptions
) -> None:
    """It says at once that it is away."""
    async with bench.journal() as journal:
        assert await filled(journal.dead, 0) == []
    await server.kill()
    bench.access = hasty
    with pytest.raises(StorageUnavailableError):
        await bench.journal().__aenter__()
    with pytest.raises(StorageUnavailableError):
        await bench.journal().put(post("1"))


async def test_what_is_asked_ends_with_the_connection(access: ConnectOptions, server) -> None:
    """However long an answer is waited for."""
    access = attrs.evolve(access, timeout=1e6)
    async with asyncio.timeout(LIMIT), Connection(access, lambda _: asyncio.sleep(0)) as connection:
        heard = asyncio.Queue()
        await connection.client.subscribe("deaf", cb=heard.put)
        asking = asyncio.gather(
            connection.request("deaf"),
            connection.call(lambda _: connection.client.request("deaf", timeout=1e6)),
            return_exceptions=True,
        )
        for _ in range(2):
            await heard.get()
        await server.kill()
        assert {type(outcome) for outcome in await asking} == {StorageUnavailableError}


async def test_a_connection_that_is_reset_with_something_left_to_write() -> None:
    """It leaves neither a task nor an exception behind, which the fixture of all tests checks."""
    peers: list[asyncio.StreamWriter] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        writer.write(b'INFO {"server_id":"1","version":"2.15.1","max_payload":1048576}\r\n')
        with suppress(OSError):
            while line := await reader.readline():
                writer.write(b"PONG\r\n" if line == b"PING\r\n" else b"")

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
        url = f"nats://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        access = ConnectOptions(servers=(url,), timeout=LIMIT)
        async with Connection(access, lambda _: asyncio.sleep(0)) as broker:
            client = broker.client
            client._pending, client._pending_data_size = [b"PUB it 0\r\n\r\n"], 12
            linger = struct.pack("ii", 1, 0)
            peers[0].get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
            peers[0].transport.abort()
            await until(lambda: not broker.ready)


async def test_no_password_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Though it is in the URL of a broker that is not there."""
    access = ConnectOptions(servers=("nats://me:hush-hush@127.0.0.1:1",), timeout=0.001)
    async with Connection(access, lambda _: asyncio.sleep(0)):
        await until(lambda: "cannot be used" in caplog.text)
    assert "hush" not in caplog.text + repr(access)


async def test_health_is_that_of_the_broker(
    server: Server, access: ConnectOptions, monkeypatch
) -> None:
    """A receiver is not well while the broker is away, and pushes are refused."""
    monkeypatch.setattr(health, "_LOOK_EVERY", 0.0)
    options = attrs.evolve(access, timeout=1.0)  # of a wait for a broker that is away
    journal = NatsJournal(options, settings=QUICK)
    app = webhook_app(Router(), secret="s3cret", journal=journal, health_path="/healthz")
    async with listening(app) as base_url, ClientSession(base_url) as http:

        async def status() -> int:
            async with http.get("/healthz") as reply:
                return reply.status

        await found(200, status)
        await server.kill()
        await found(503, status)
        await server.start()
        await found(200, status)


async def test_health_tells_of_a_push_that_waits_for_too_long(bench: Bench, monkeypatch) -> None:
    """Whichever process has it; and no more once the push is handled."""
    monkeypatch.setattr(health, "_LOOK_EVERY", 0.0)
    held = asyncio.Event()
    bench.act = lambda _: held.wait()
    journal = await bench.start()
    await journal.put(attrs.evolve(post("1"), received_at=time.time() - 1000))
    assert await health.Health("healthz", 1e6, journal).status() == 200
    strict = health.Health("healthz", 0.0, journal)
    assert await strict.status() == 503
    held.set()
    await found(200, strict.status)
