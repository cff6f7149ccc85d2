"""A connection to a NATS broker that is always being kept up.

After any fault a new connection is made, and nothing of the old one is left: no message waits in
a buffer to be sent behind the back of a caller who was told that it failed.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import attrs
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, Header, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError

from infobip_async.errors import JournalUnavailableError
from infobip_async.logs import logger_of_faults

T = TypeVar("T")

logger = logger_of_faults("infobip_async.journal.nats")

PAUSE: Final = 0.25
"""Seconds between two attempts."""

_PING_SECONDS: Final = 5
_CONNECT_SECONDS: Final = 2
_NAME_IN_USE: Final = 10058
_WRONG_LAST_SEQUENCE: Final = 10071


class ConflictError(Exception):
    """A subject was to get its first message, and has one."""


@attrs.frozen
class Acknowledgement:
    """What the broker says to a message.

    Attributes:
        sequence: its number in the stream; that of the first one where it is a duplicate.
        duplicate: whether one of the same id came before, in the time that ids are known for.
    """

    sequence: int
    duplicate: bool


@attrs.frozen(kw_only=True)
class Access:
    """How to get at a broker.

    Attributes:
        servers: URLs such as ``nats://127.0.0.1:4222``, of any servers of one cluster; they may
            hold a user and a password.
        credentials: the path of a file with a user's credentials.
        tls: for ``tls://`` URLs, where the system's certificates are not to be used.
        timeout: seconds that the broker may take to answer.
    """

    servers: Sequence[str] = attrs.field(repr=False)
    credentials: str | None = attrs.field(default=None, repr=False)
    tls: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    timeout: float = 5.0


def access_to(servers: str | Sequence[str] | Access) -> Access:
    """What the arguments of users mean: one URL, several, or all there is to say."""
    if isinstance(servers, Access):
        return servers
    return Access(servers=(servers,) if isinstance(servers, str) else tuple(servers))


def _let_go() -> None:
    """Let a cancellation through that nats-py has lost, as it does while it writes."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def end(tasks: Collection["asyncio.Task[None]"]) -> None:
    """Cancel tasks that use a broker, and wait until they are over."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        # One can still be lost, in calls of nats-py that are not made by `Broker`.
        _, pending = await asyncio.wait(pending, timeout=PAUSE)


async def _pass_over(_: Exception) -> None:
    """What nats-py tells of on the way; the outcome is told in its place."""


class _Connection(Client):
    """A client that ends as a whole when its connection is lost.

    nats-py tries to write what it has left, which raises where the connection was reset. It then
    breaks off, leaves tasks behind, and asyncio logs the error.
    """

    async def _process_op_err(self, e: Exception) -> None:
        self._pending, self._pending_data_size = [], 0
        await super()._process_op_err(e)


class Broker:
    """A broker, as a context: connected while it can be, and ready once `declare` has passed.

    Args:
        access: how to get at it.
        declare: makes sure of what is needed there, on each new connection.
    """

    def __init__(self, access: Access, declare: Callable[["Broker"], Awaitable[None]]) -> None:
        self._access = access
        self._declare = declare
        self._connected: Client | None = None
        self._ready = asyncio.Event()
        self._open: set[asyncio.Timeout] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_up())
        with suppress(JournalUnavailableError):  # said in the log, and tried again
            await self.wait()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Disconnect."""
        task, self._task = self._task, None
        if task is not None:
            await end([task])

    @property
    def ready(self) -> bool:
        """Whether it can be used now."""
        client = self._connected
        return self._ready.is_set() and client is not None and client.is_connected

    @property
    def max_payload(self) -> int:
        """Octets of a message at the most."""
        return self.client.max_payload

    @property
    def client(self) -> Client:
        """The connection of now.

        Raises:
            JournalUnavailableError: there is none.
        """
        client = self._connected
        if client is None or not client.is_connected:
            raise JournalUnavailableError("the broker is away")
        return client

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until it can be used.

        Raises:
            JournalUnavailableError: it cannot, in so many seconds.
        """
        try:
            async with asyncio.timeout(self._access.timeout if seconds is None else seconds):
                await self._ready.wait()
        except TimeoutError:
            raise JournalUnavailableError("the broker is away") from None

    async def wait_for_ever(self) -> None:
        """Wait until it can be used, however long that takes."""
        await self._ready.wait()

    # --- the connection ---

    async def _keep_up(self) -> None:
        told = False
        while True:
            try:
                await self._serve()
                told = False
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is tried again
                if not told:
                    # Not its text: it may quote a URL with a password.
                    logger.error("the broker cannot be used: %s", type(fault).__name__)  # noqa: TRY400
                    told = True
            await asyncio.sleep(PAUSE)

    async def _serve(self) -> None:
        """Connect, and come back when the connection is lost."""
        lost = asyncio.Event()

        async def closed() -> None:
            self._ready.clear()
            lost.set()
            for timeout in self._open:  # nothing comes any more
                timeout.reschedule(0)

        client = _Connection()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS * (1 + len(self._access.servers))):
                await client.connect(closed_cb=closed, **self._options())
            self._connected = client
            await self._declare(self)
            if not lost.is_set():
                self._ready.set()
                logger.info("connected to the broker")
            while client.is_connected and not lost.is_set():  # of which nothing tells older nats-py
                with suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), PAUSE)
            await closed()
            logger.warning("lost the broker")
        finally:
            self._ready.clear()
            self._connected = None
            with suppress(Exception):
                await asyncio.wait_for(client.close(), self._access.timeout)

    def _options(self) -> dict[str, Any]:
        return {
            "servers": list(self._access.servers),
            "user_credentials": self._access.credentials,
            "tls": self._access.tls,
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": PAUSE,
            "connect_timeout": _CONNECT_SECONDS,
            "ping_interval": _PING_SECONDS,
            "error_cb": _pass_over,
            "name": "infobip_async",
        }

    # --- what is asked of it ---

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Limit the time of something, which ends when the connection is lost.

        Raises:
            TimeoutError: it took longer.
        """
        async with asyncio.timeout(seconds) as timeout:
            self._open.add(timeout)
            try:
                yield
                _let_go()
            finally:
                self._open.discard(timeout)

    async def request(
        self, subject: str, payload: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Msg:
        """Ask, and await the answer.

        Raises:
            JournalUnavailableError: none came.
        """
        client, seconds = self.client, self._access.timeout
        fields = dict(headers) if headers else None
        try:
            async with self.within(seconds):
                return await client.request(subject, payload, timeout=2 * seconds, headers=fields)
        except (nats.errors.Error, OSError, TimeoutError) as fault:
            raise JournalUnavailableError(f"no answer of the broker: {_name(fault)}") from None

    async def tell(self, subject: str, payload: bytes = b"", reply: str = "") -> None:
        """Send without an answer.

        Raises:
            JournalUnavailableError: there is no connection.
        """
        try:
            await self.client.publish(subject, payload, reply=reply)
            _let_go()
        except (nats.errors.Error, OSError) as fault:
            raise JournalUnavailableError(f"the broker is away: {_name(fault)}") from None

    async def publish(
        self,
        stream: str,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        message_id: str | None = None,
        first: bool = False,
    ) -> Acknowledgement:
        """Have a stream keep a message.

        Args:
            stream: the stream that must take it.
            subject: of the message.
            payload: of the message.
            headers: of the message.
            message_id: no other message of this id is kept.
            first: it must be the first of its subject.

        Raises:
            ConflictError: it is not the first of its subject.
            JournalUnavailableError: it was not acknowledged; it may have been kept all the same.
        """
        fields = {**(headers or {}), Header.EXPECTED_STREAM.value: stream}
        if message_id is not None:
            fields[Header.MSG_ID.value] = message_id
        if first:
            fields[Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value] = "0"
        answer = json.loads((await self.request(subject, payload, fields)).data or b"{}")
        fault = answer.get("error")
        if fault and fault.get("err_code") == _WRONG_LAST_SEQUENCE:
            raise ConflictError(subject)
        if fault or answer.get("stream") != stream:
            reason = fault.get("description") if fault else "no acknowledgement of the stream"
            raise JournalUnavailableError(f"the broker refuses: {reason}")
        return Acknowledgement(answer["seq"], answer.get("duplicate", False))

    async def manage(self, call: Callable[[nats.js.JetStreamContext], Awaitable[Any]]) -> Any:  # noqa: ANN401 - of nats-py
        """Make one of nats-py's calls for streams and consumers.

        Raises:
            NotFoundError: what it is about is not there.
            JournalUnavailableError: anything else.
        """
        seconds = self._access.timeout
        context = self.client.jetstream(timeout=2 * seconds)  # the limit is our own
        try:
            async with self.within(seconds):
                return await call(context)
        except NotFoundError:
            raise
        except (nats.errors.Error, OSError, TimeoutError) as fault:
            raise JournalUnavailableError(f"the broker refuses: {_name(fault)}") from fault

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer, however long the broker is away."""
        while True:
            await self.wait_for_ever()
            try:
                return await call()
            except JournalUnavailableError as fault:
                logger.info("to be asked again: %s", fault)
                await asyncio.sleep(PAUSE)

    async def last(self, stream: str, subject: str) -> Msg | None:
        """The last message of a subject, if it has any.

        Raises:
            JournalUnavailableError: no answer came.
        """
        answer = await self.request(f"$JS.API.DIRECT.GET.{stream}.{subject}")
        return None if (answer.headers or {}).get(Header.STATUS.value) == "404" else answer

    async def stream(self, config: StreamConfig) -> StreamInfo:
        """Give what is known of a stream, which is made where it is missing."""
        name = config.name or ""
        try:
            info: StreamInfo = await self.manage(lambda js: js.stream_info(name))
        except NotFoundError:
            info = await self.manage(lambda js: js.add_stream(config))
        return info

    async def consumer(self, stream: str, config: ConsumerConfig) -> None:
        """Make a durable consumer where it is missing."""
        name = config.durable_name or ""
        try:
            await self.manage(lambda js: js.consumer_info(stream, name))
        except NotFoundError:
            await self.manage(lambda js: js.add_consumer(stream, config))


def _name(fault: BaseException) -> str:
    if isinstance(fault, APIError) and fault.description:
        return fault.description
    return type(fault).__name__
