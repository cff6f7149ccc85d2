"""The receiver as an ASGI 3 application, for what the gateway pushes (§3.1, §5, §6).

::

    receiver = asgi_app(router, secret="long-random-string")
    app = FastAPI(lifespan=receiver.lifespan)
    app.mount("/infobip", receiver)

It runs alone or mounted, on any ASGI server: paths, limits, secrets, journal and answers are those
of `infobip_async.webhook`. No aiohttp is needed for it.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from contextvars import Context
from datetime import tzinfo
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import attrs

from infobip_async.errors import InfobipError
from infobip_async.journal.base import Journal
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES
from infobip_async.receiver.admission import Head, Limits, RefusedError, length_of, query_of
from infobip_async.receiver.receiver import (
    DEFAULT_LIMITS,
    Answer,
    Receiver,
    make_receiver,
)
from infobip_async.receiver.urls import callback_urls
from infobip_async.redaction import SparseLogger, logger_of_faults
from infobip_async.router import Router

__all__ = ["AsgiReceiver", "Limits", "asgi_app", "callback_urls"]

# As ASGI has it: the types that servers and frameworks use are these, under names of their own.
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_logger = logger_of_faults("infobip_async.receiver")

_PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")
_UNAVAILABLE: Final = Answer(
    HTTPStatus.SERVICE_UNAVAILABLE, "503: Service Unavailable", hangs_up=True
)


class AsgiReceiver:
    """An ASGI application that receives pushes; `asgi_app` makes it.

    Where a server or a host tells of no start (daphne, a mount in Django), the first request
    starts it, and it stops with the event loop.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._told: asyncio.AbstractEventLoop | None = None
        self._untold: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._sparse_logger = SparseLogger(_logger)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what a server sends.

        Raises:
            NotImplementedError: a protocol that is neither HTTP, WebSocket nor lifespan.
        """
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close"})  # before it is accepted: a 403
            case other:
                raise NotImplementedError(f"no ASGI protocol of the receiver's: {other!r}")

    # --- start and stop ---

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Have stored pushes handled until the context is left; then stop as a server stops.

        For a host with a lifespan of its own::

            @asynccontextmanager
            async def lifespan(app):
                async with receiver.serving():
                    yield
        """
        self._told = asyncio.get_running_loop()
        async with self._receiver.serving():
            yield

    def lifespan(self, app: object = None) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - the host's signature
        """Be the lifespan of a host, as in ``FastAPI(lifespan=receiver.lifespan)``.

        Args:
            app: the host.
        """
        return self.serving()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.serving())
            except Exception as fault:
                _logger.exception("the receiver cannot start")
                why = str(fault) if isinstance(fault, InfobipError) else type(fault).__name__
                await send({"type": "lifespan.startup.failed", "message": why})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _started(self) -> None:
        """Serve from the first request on, if nobody tells when to start and to stop."""
        loop = asyncio.get_running_loop()
        if self._told is loop:
            return
        if self._untold is None or self._untold.done() or self._untold.get_loop() is not loop:
            self._ready = loop.create_future()
            # In a context of its own: the first request's must not be the one of all handlers.
            work = self._until_cancelled(self._ready)
            self._untold = loop.create_task(work, context=Context())
        if self._ready is not None:
            await asyncio.shield(self._ready)

    async def _until_cancelled(self, ready: asyncio.Future[None]) -> None:
        try:
            async with self._receiver.serving():
                ready.set_result(None)
                await asyncio.Event().wait()
        except Exception as fault:
            if ready.done():
                raise
            ready.set_exception(fault)

    # --- requests ---

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = _head(scope)
        try:
            await self._started()
        except Exception:
            self._sparse_logger.exception("the receiver cannot start")
            answer = _UNAVAILABLE
        else:
            answer = await self._receiver.answer(head, partial(self._read, head, receive))
        with suppress(OSError):  # the peer hung up before
            await _respond(answer, send, closes=scope.get("http_version", "1.1") < "2")

    async def _read(self, head: Head, receive: Receive) -> bytes:
        body = await self._receiver.read(_Body(receive).more)
        if len(body) < _announced(head):
            raise self._receiver.body_taken_away()
        return body


@attrs.define
class _Body:
    """The body of one request."""

    _receive: Receive
    _ended: bool = attrs.field(init=False, default=False)

    async def more(self) -> bytes | None:
        if self._ended:
            return None
        message = await self._receive()
        if message["type"] != "http.request":  # the peer hung up
            raise RefusedError(HTTPStatus.BAD_REQUEST)
        self._ended = not message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body


def _announced(head: Head) -> int:
    """The octets that a head promises, as far as it tells.

    Chunks say themselves how many come; no push is posted in chunks without an octet.
    """
    given = {name.lower(): value for name, value in head.headers}
    if "transfer-encoding" in given:
        return int(head.method == "POST")
    return length_of(given.get("content-length", ""))


def _head(scope: Scope) -> Head:
    path: str = scope["path"]
    raw: bytes = (scope.get("raw_path") or path.encode()).partition(b"?")[0]
    if not raw.endswith(b"/"):
        path = path.removesuffix("/")  # Litestar adds it
    return Head(
        method=scope["method"],
        tail=_tail(path, scope.get("root_path", "")),
        raw_path=raw.decode("latin-1"),
        query=query_of(scope["query_string"]),
        headers=[
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ],
    )


def _tail(path: str, root: str) -> str:
    """The path behind the mount point and its slash.

    Hosts disagree on what a mounted application is shown: ASGI's own rule and Starlette from 0.33
    leave the mount point in the path, older ones and Litestar take it away, and FastAPI's
    ``root_path`` may be in `root` and not in the path. So the mount point is the longest end of
    `root` with which the path begins.
    """
    segments = list(filter(None, root.split("/")))
    for first in range(len(segments)):
        mount = f"/{'/'.join(segments[first:])}/"
        if path.startswith(mount):
            return path[len(mount) :]
    return path.removeprefix("/")


async def _respond(answer: Answer, send: Send, *, closes: bool) -> None:
    body = answer.text.encode()
    headers = [_PLAIN, (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.hangs_up and closes:  # HTTP/2 knows no such header
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def asgi_app(
    router: Router,
    *,
    secret: str | Sequence[str] | None,
    limits: Limits = DEFAULT_LIMITS,
    inbound: Mapping[str, str] = DEFAULT_NAMES,
    zone: tzinfo | None = None,
    stop_timeout: float = 20.0,
    journal: Journal | None = None,
    id_key: str | bytes | Sequence[str | bytes] | None = None,
    health_path: str | None = None,
    max_waiting: float = 300.0,
) -> AsgiReceiver:
    """Make the application that receives pushes, for any ASGI 3 server.

    The arguments, the answers and the errors are those of `infobip_async.webhook.webhook_app`. Its
    stop waits for handlers up to `stop_timeout`: a server that waits for less cuts them off.

    Raises:
        LocalProtocolError: an argument is unfit.
    """
    return AsgiReceiver(
        make_receiver(
            router,
            secret=secret,
            limits=limits,
            inbound=inbound,
            zone=zone,
            stop_timeout=stop_timeout,
            journal=journal,
            id_key=id_key,
            health_path=health_path,
            max_waiting=max_waiting,
        )
    )
