"""Requests as they come from the socket, and replies as they leave it: whole, cut short, or not."""

from contextlib import suppress
from http import HTTPStatus
from typing import Final

from aiohttp import web

from infobip_async.protocol.exchange import HttpReply, HttpRequest
from infobip_async.simulator.faults import Fault

_PAGE: Final = b"<html><head><title>Runtime Error</title></head><body>Server Error</body></html>"
_STATUSES: Final = {
    Fault.UNREADABLE_REPLY: HTTPStatus.OK,
    Fault.STATUS_500: HTTPStatus.INTERNAL_SERVER_ERROR,
    Fault.STATUS_307: HTTPStatus.TEMPORARY_REDIRECT,
}


async def whole(request: web.BaseRequest) -> HttpRequest:
    """Read all of a request, of any size."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        body = await request.content.read()
    except web.RequestPayloadError:
        raise web.HTTPBadRequest from None
    content_type = request.headers.get("Content-Type")
    return HttpRequest(request.method, request.raw_path, body, content_type)


def page_for(fault: Fault) -> HttpReply:
    """The HTML page that stands in for the reply to a request."""
    return HttpReply(_STATUSES[fault], _PAGE, "text/html; charset=utf-8")


async def answer(request: web.BaseRequest, reply: HttpReply) -> web.StreamResponse:
    """Write a reply, all of it, now: what follows must not come before it."""
    headers = {"Content-Type": reply.content_type}
    if reply.status == HTTPStatus.TEMPORARY_REDIRECT:
        headers["Location"] = request.raw_path
    response = web.Response(status=reply.status, body=reply.body, headers=headers)
    with suppress(ConnectionError):  # the client did not wait for it
        await response.prepare(request)
        await response.write_eof()
    return response


async def cut_short(request: web.BaseRequest, reply: HttpReply) -> web.StreamResponse:
    """Write the head of a reply and half of its body, and hang up."""
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    response.content_length = len(reply.body)
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
    hang_up(request)
    return response


def hang_up(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection; what is returned is never written."""
    request.protocol.force_close()
    return web.Response()
