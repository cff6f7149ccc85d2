"""A connection to a NATS broker that is renewed after every fault.

A fault ends the connection and everything on it. So no message waits in a buffer and goes out
after its caller was told that it failed.
"""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, Self, TypeVar

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, Header, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError

from infobip_async.concurrency.tasks import Interrupt, cancel
from infobip_async.errors import StorageUnavailableError
from infobip_async.jetstream.options import ConnectOptions

T = TypeVar("T")

RETRY_SECONDS: Final = 0.25
"""Seconds between two attempts."""

_PING_SECONDS: Final = 5
_CONNECT_SECONDS: Final = 2
_WRONG_LAST_SEQUENCE: Final = 10071

_logger = logging.getLogger("infobip_async.jetstream")


class ConflictError(Exception):
    """A message was to be the first of its subject, but the subject has one already."""


@contextmanager
def _swallowed_cancellation_raised() -> Iterator[None]:
    """Re-raise a cancellation that nats-py swallowed while writing.

    nats-py drops every `CancelledError` in `Client._flush_pending`, which all calls that write
    come through. The caller's task then goes on as if nobody had cancelled it.
    """
    task = asyncio.current_task()
    # A task that is cancelled already may clean up: only a further cancellation counts.
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


async def _ignore_error(_: Exception) -> None:
    """Ignore a fault that nats-py reports in passing; each caller gets an exception of its own."""


class _Client(Client):
    """A client that ends as a whole when its connection is lost.

    nats-py tries to write what is left in its buffer, which raises where the connection was
    reset. It then breaks off, leaves tasks behind, and asyncio logs the error.
    """

    async def _process_op_err(self, e: Exception) -> None:
        self._pending, self._pending_data_size = [], 0
        await super()._process_op_err(e)


class Connection:
    """A connection to a broker, as a context; it is renewed whenever it is lost.

    Args:
        options: how to connect.
        declare: creates what is needed on the broker; called after each connect. The connection
            is ready once it returns.
    """

    def __init__(
        self, options: ConnectOptions, declare: Callable[["Connection"], Awaitable[None]]
    ) -> None:
        self._options = options
        self._declare = declare
        self._client: Client | None = None
        self._ready = asyncio.Event()
        self._lost = Interrupt()  # a new one for each connection: it ends the waits for answers
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect; a broker that is away is tried again in the background."""
        await self._enter(required=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def connect(self) -> None:
        """Enter the context, but only if the broker is there.

        Raises:
            StorageUnavailableError: the broker is away; the connection is closed.
        """
        await self._enter(required=True)

    async def _enter(self, *, required: bool) -> None:
        self._task = asyncio.create_task(self._keep_up())
        try:
            async with asyncio.timeout(self._options.timeout):
                await self.until_ready()
        except TimeoutError:
            if required:
                await self.aclose()
                raise StorageUnavailableError("the broker is away") from None
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Disconnect."""
        task, self._task = self._task, None
        if task is not None:
            await cancel([task])

    @property
    def ready(self) -> bool:
        """Whether the connection is up, and `declare` has returned."""
        return self._ready.is_set() and self._client is not None and self._client.is_connected

    async def until_ready(self) -> None:
        """Wait until the connection is ready, however long that takes."""
        await self._ready.wait()

    @property
    def client(self) -> Client:
        """The client of the present connection.

        Raises:
            StorageUnavailableError: there is no connection.
        """
        client = self._client
        if client is None or not client.is_connected:
            raise StorageUnavailableError("the broker is away")
        return client

    # --- keeping the connection up ---

    async def _keep_up(self) -> None:
        logged = False
        while True:
            try:
                await self._serve()
                logged = False
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is tried again
                if not logged:
                    # Its text may quote a URL with a password.
                    _logger.error("the broker cannot be used: %s", type(fault).__name__)  # noqa: TRY400
                    logged = True
            await asyncio.sleep(RETRY_SECONDS)

    async def _serve(self) -> None:
        """Connect, and return when the connection is lost."""
        client, self._lost = _Client(), Interrupt()
        fault = StorageUnavailableError("lost the connection to the broker")

        async def closed() -> None:
            self._lost.set(fault)

        try:
            with _swallowed_cancellation_raised():
                async with asyncio.timeout(_CONNECT_SECONDS * (1 + len(self._options.servers))):
                    await client.connect(closed_cb=closed, **self._settings())
            self._client = client
            await self._declare(self)
            self._ready.set()
            _logger.info("connected to the broker")
            await self._until_lost(client)
            _logger.warning("lost the connection to the broker")
        finally:
            self._ready.clear()
            self._client = None
            self._lost.set(fault)
            with suppress(Exception), _swallowed_cancellation_raised():
                async with asyncio.timeout(self._options.timeout):
                    await client.close()

    async def _until_lost(self, client: Client) -> None:
        # nats-py does not call `closed_cb` if closing the socket fails. So look, too.
        while client.is_connected:
            with suppress(TimeoutError, StorageUnavailableError):
                async with self.within(RETRY_SECONDS):
                    await asyncio.Event().wait()

    def _settings(self) -> dict[str, Any]:
        return {
            "servers": list(self._options.servers),
            "user_credentials": self._options.credentials,
            "tls": self._options.tls,
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": RETRY_SECONDS,
            "connect_timeout": _CONNECT_SECONDS,
            "ping_interval": _PING_SECONDS,
            "error_cb": _ignore_error,
            "name": "infobip_async",
        }

    # --- core NATS ---

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Limit the time of a wait for the broker.

        Raises:
            StorageUnavailableError: the connection was lost.
            TimeoutError: the wait took longer.
        """
        async with asyncio.timeout(seconds), self._lost.scope():
            with _swallowed_cancellation_raised():
                yield

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        at_most: float = math.inf,
    ) -> Msg:
        """Publish a message, and wait for the answer.

        Args:
            subject: where the message goes.
            payload: of the message.
            headers: of the message.
            at_most: seconds to wait, if the timeout of the options is longer.

        Raises:
            StorageUnavailableError: no answer came.
        """
        client, seconds = self.client, min(self._options.timeout, at_most)
        fields = dict(headers) if headers else None
        try:
            async with self.within(seconds):
                return await client.request(subject, payload, timeout=2 * seconds, headers=fields)
        except (nats.errors.Error, OSError, TimeoutError) as fault:
            raise StorageUnavailableError(f"no answer of the broker: {_name(fault)}") from None

    async def publish(self, subject: str, payload: bytes = b"", reply: str = "") -> None:
        """Publish a message, and wait for no answer; answers go to the subject `reply`.

        Raises:
            StorageUnavailableError: there is no connection.
        """
        try:
            with _swallowed_cancellation_raised():
                await self.client.publish(subject, payload, reply=reply)
        except (nats.errors.Error, OSError) as fault:
            raise StorageUnavailableError(f"the broker is away: {_name(fault)}") from None

    @asynccontextmanager
    async def subscribe(self, subject: str) -> AsyncIterator[asyncio.Queue[Msg]]:
        """Receive the messages of a subject in a queue.

        After the context, the queue has every message that the broker sent.

        Raises:
            StorageUnavailableError: there is no connection.
        """
        messages: asyncio.Queue[Msg] = asyncio.Queue()
        try:
            with _swallowed_cancellation_raised():
                subscription = await self.client.subscribe(subject, cb=messages.put)
        except (nats.errors.Error, OSError) as fault:
            raise StorageUnavailableError(f"the broker is away: {_name(fault)}") from None
        try:
            yield messages
        finally:
            with suppress(nats.errors.Error, OSError, TimeoutError, StorageUnavailableError):
                async with self.within(self._options.timeout):
                    await subscription.drain()  # type: ignore[no-untyped-call]

    # --- streams and consumers ---

    async def store(
        self,
        stream: str,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        message_id: str | None = None,
        first: bool = False,
        behind: int | None = None,
    ) -> int:
        """Store a message in a stream, and give its sequence there.

        Args:
            stream: the stream that must take the message.
            subject: of the message.
            payload: of the message.
            headers: of the message.
            message_id: the stream drops the message if it has one of this id.
            first: the message must be the first of its subject.
            behind: the sequence of the last message of the subject, which no other may follow.

        Raises:
            ConflictError: the subject has another last message.
            StorageUnavailableError: the broker did not confirm; it may have stored the message.
        """
        fields = {**(headers or {}), Header.EXPECTED_STREAM.value: stream}
        if message_id is not None:
            fields[Header.MSG_ID.value] = message_id
        if first or behind is not None:
            fields[Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value] = str(behind or 0)
        answer = json.loads((await self.request(subject, payload, fields)).data or b"{}")
        fault = answer.get("error")
        if fault and fault.get("err_code") == _WRONG_LAST_SEQUENCE:
            raise ConflictError(subject)
        if fault or answer.get("stream") != stream:
            reason = fault.get("description") if fault else "another stream took the message"
            raise StorageUnavailableError(f"the broker refuses: {reason}")
        return int(answer["seq"])

    async def call(self, api: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        """Make one of nats-py's calls for streams and consumers.

        Raises:
            NotFoundError: the stream, consumer or message does not exist.
            StorageUnavailableError: any other fault.
        """
        seconds = self._options.timeout
        context = self.client.jetstream(timeout=2 * seconds)  # `within` ends the wait first
        try:
            async with self.within(seconds):
                return await api(context)
        except NotFoundError:
            raise
        except (nats.errors.Error, OSError, TimeoutError) as fault:
            raise StorageUnavailableError(f"the broker refuses: {_name(fault)}") from fault

    async def retry(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call until the broker answers, however long it is away."""
        while True:
            await self.until_ready()
            try:
                return await call()
            except StorageUnavailableError as fault:
                _logger.info("a call is repeated: %s", fault)
                await asyncio.sleep(RETRY_SECONDS)

    async def last_message(self, stream: str, subject: str) -> Msg | None:
        """Get the last message of a subject; None where there is none.

        Raises:
            StorageUnavailableError: no answer came.
        """
        answer = await self.request(f"$JS.API.DIRECT.GET.{stream}.{subject}")
        return None if (answer.headers or {}).get(Header.STATUS.value) == "404" else answer

    async def purge(self, stream: str, subject: str) -> None:
        """Delete the messages of a subject.

        Raises:
            StorageUnavailableError: no answer came.
        """
        await self.call(lambda js: js.purge_stream(stream, subject=subject))

    async def ensure_stream(self, config: StreamConfig) -> StreamInfo:
        """Get the state of a stream, which is created if it is missing."""
        name = config.name or ""
        try:
            return await self.call(lambda js: js.stream_info(name))
        except NotFoundError:
            return await self.call(lambda js: js.add_stream(config))

    async def ensure_consumer(self, stream: str, config: ConsumerConfig) -> None:
        """Create a durable consumer if it is missing."""
        name = config.durable_name or ""
        try:
            await self.call(lambda js: js.consumer_info(stream, name))
        except NotFoundError:
            await self.call(lambda js: js.add_consumer(stream, config))


def _name(fault: BaseException) -> str:
    if isinstance(fault, APIError) and fault.description:
        return fault.description
    return type(fault).__name__


def sequence_of(message: Msg) -> int:
    """The sequence in its stream of a message that `Connection.last_message` gave."""
    return int((message.headers or {})["Nats-Sequence"])
