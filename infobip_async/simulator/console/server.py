"""The console on a socket: the page, its files, the API and the stream of changes."""

import asyncio
import json
from collections.abc import Mapping
from functools import cache, partial
from http import HTTPStatus
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import attrs
from aiohttp import web

from infobip_async.errors import LocalProtocolError
from infobip_async.simulator.app import CONSOLE_PREFIX as PREFIX
from infobip_async.simulator.console import actions, queries
from infobip_async.simulator.console.description import description
from infobip_async.simulator.console.fields import Given, Json, Refusal, bad, read_json
from infobip_async.simulator.console.guard import COOKIE, Guard
from infobip_async.simulator.console.routes import Desk, Route

ROUTES: Final = (*queries.ROUTES, *actions.ROUTES)
_MOST_OCTETS: Final = 256 << 10
"""Of the body of a request to the API."""

_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not listened on
_PAUSE: Final = 0.2
"""Seconds between two events of the stream, so that a bulk send is not slowed by who watches."""

_ALIVE: Final = 15.0
"""Seconds of silence after which the stream says that it is still there."""

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@cache
def _files() -> Mapping[str, bytes]:
    """The files of the page by name, read once."""
    folder = files("infobip_async.simulator.console") / "static"
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@attrs.frozen(eq=False)
class Console:
    """Serves the console under its prefix."""

    desk: Desk
    guard: Guard

    def url(self, base: str) -> str:
        """The page's address, with the token where one is needed.

        Args:
            base: the address that the simulator listens on. Where that is every address of the
                machine, a name of the console takes its place.
        """
        parts = urlsplit(base)
        name = min(self.guard.hosts, default="127.0.0.1")
        host = f"{name}:{parts.port}" if parts.hostname in _EVERY_ADDRESS else parts.netloc
        query = f"?token={quote(self.guard.token)}" if self.guard.token else ""
        return f"{parts.scheme}://{host}{PREFIX}{query}"

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request for something under the prefix."""
        path = unquote(urlsplit(request.raw_path).path).removeprefix(PREFIX)
        try:
            query = dict(parse_qsl(urlsplit(request.raw_path).query, keep_blank_values=True))
            self._check(request, query, path)
            if path == "events":
                return await self._events(request)
            if path == "openapi.json":
                return _json(description(ROUTES, PREFIX))
            if (path or "index.html") in _files():
                return self._file(request, path or "index.html")
            return _json(await self._answer(request, path, query))
        except Refusal as refusal:
            answer = _json({"error": refusal.reason}, refusal.status)
            answer.force_close()  # the rest of a body is not read
            return answer
        except LocalProtocolError as error:
            return _json({"error": str(error)}, HTTPStatus.BAD_REQUEST)

    def _check(self, request: web.BaseRequest, query: dict[str, str], path: str) -> None:
        """Refuse those who may not ask; the token leaves the query."""
        if len(request.headers.getall("Host", [])) != 1:
            raise Refusal(HTTPStatus.FORBIDDEN, "one Host header is needed")
        peer = request.transport and request.transport.get_extra_info("peername")
        navigation = not path and request.method == "GET"
        self.guard.check(request.headers, peer[0] if peer else "", navigation=navigation)
        _, _, bearer = request.headers.get("Authorization", "").partition("Bearer ")
        self.guard.check_token((query.pop("token", None), bearer, request.cookies.get(COOKIE)))

    def _file(self, request: web.BaseRequest, name: str) -> web.Response:
        _only("GET", request)
        kind = _TYPES[name.rpartition(".")[2]]
        response = web.Response(body=_files()[name], headers={**_HEADERS, "Content-Type": kind})
        if self.guard.token:
            response.set_cookie(
                COOKIE, self.guard.token, path=PREFIX, httponly=True, samesite="Strict"
            )
        return response

    async def _answer(self, request: web.BaseRequest, path: str, query: dict[str, str]) -> Json:
        route, segment = _find(request.method, path)
        values = query if request.method == "GET" else await _body(request)
        return await route.handler(self.desk, Given(route.fields, values), segment)

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        """Tell of every change, at most five times a second, until the page goes away."""
        _only("GET", request)
        headers = {**_HEADERS, "Content-Type": "text/event-stream"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        seen = -1
        while True:
            revision = await self.desk.bell.until(partial(self._newer_than, seen), _ALIVE)
            if revision is None:
                await response.write(b": still here\n\n")
                continue
            seen = revision
            await response.write(f"data: {seen}\n\n".encode())
            await asyncio.sleep(_PAUSE)

    def _newer_than(self, seen: int) -> int | None:
        revision = self.desk.recorder.revision
        return None if revision == seen else revision


def _only(method: str, request: web.BaseRequest) -> None:
    if request.method != method:
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"only {method} is known here")


def _find(method: str, path: str) -> tuple[Route, str]:
    """Find the route of a request, and the segment that stands for its id."""
    matching = [(route, segment) for route in ROUTES if (segment := route.match(path)) is not None]
    for route, segment in matching:
        if route.method == method:
            return route, segment
    if matching:
        known = ", ".join(route.method for route, _ in matching)
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"known here: {known}")
    raise Refusal(HTTPStatus.NOT_FOUND, f"there is nothing here: see {PREFIX}openapi.json")


async def _body(request: web.BaseRequest) -> dict[str, object]:
    """Read a body of JSON, whose type no form of a foreign page can have.

    Raises:
        Refusal: it is too large, or of another type.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if request.can_read_body and kind != "application/json":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the type must be application/json")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a compressed body is not read")
    body = b""
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > _MOST_OCTETS:
                about = f"a body has at most {_MOST_OCTETS} octets"
                raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, about)
    except web.RequestPayloadError:
        raise bad("the body cannot be read") from None
    return read_json(body)


def _json(value: Json, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    headers = {**_HEADERS, "Content-Type": "application/json"}
    return web.Response(body=json.dumps(value).encode(), status=status, headers=headers)
