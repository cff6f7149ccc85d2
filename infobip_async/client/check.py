"""`check_receiver`: whether what the gateway pushes arrives, asked through the public address."""

import asyncio
import logging
import secrets
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import attrs
import httpx

from infobip_async.protocol.exchange import CallbackUrls, PushKind
from infobip_async.protocol.inbound_sms import DEFAULT_NAMES
from infobip_async.receiver.probe import Probe, octets_in
from infobip_async.receiver.urls import callback_urls, check_secrets, log_mask
from infobip_async.redaction import HTTP_LOGGERS

_ROWS: Final = 100
"""Rows of an HLR push (§5); in ours each has some 100 octets."""

_BIG: Final = 1024 * 1024 + 1
"""A body that is just too big for what limits bodies to 1 MiB, as nginx and aiohttp do."""

_LONG: Final = 8 * 1024
"""Octets of a long text: some 10 parts in a script of three octets a letter, percent-encoded."""

_LONGEST_ANSWER: Final = 1024

_MEANINGS: Final[Mapping[int, str]] = {
    400: "something in front refuses the request, perhaps for the length of its query: raise the "
    "limit of a request line to 64 KiB (nginx: large_client_header_buffers; aiohttp: "
    "web.Application(handler_args={'max_line_size': 65536}))",
    401: "something in front asks for a login: let the paths of the receiver pass a middleware, "
    "or a proxy, without one. Their secret is in the path",
    403: "something in front forbids the request: let the paths of the receiver pass a firewall, "
    "a CSRF check or a list of addresses",
    404: "nobody serves this path: compare the prefix of the address with the mount point, what a "
    "proxy takes away from the path, and the secret",
    405: "something in front takes no such method: let it take GET and POST",
    411: "something in front takes no body without a length",
    413: "the body is too big for something in front: let it take 2 MiB (nginx: "
    "client_max_body_size 2m)",
    414: "the query is too long for something in front: let it take 64 KiB (nginx: "
    "large_client_header_buffers)",
    415: "something in front changes the encoding of the body: turn that off",
    431: "the query is too long for something in front: let it take 64 KiB",
    500: "the application fails before the receiver is reached: see its log",
    502: "a proxy does not reach the application, or it hung up",
    503: "the receiver is stopping, or its journal cannot be written: see its log",
    504: "a proxy waited too long for the application",
}

_UNTRUSTED: Final = (
    "TLS: the certificate is not trusted ({}): the gateway may refuse it, too. Serve the whole "
    "chain, for this very name"
)
_NO_TLS: Final = (
    "TLS: no agreement ({}): see which versions the server offers, and whether it speaks TLS on "
    "this port at all"
)
_NOBODY: Final = "nobody can be connected to there: look at the name, the port, and the firewall"
_TOO_LATE: Final = (
    "no answer came in time: something holds the request, or waits for more of its body"
)
_HUNG_UP: Final = "the connection ended without an answer: something in front hung up"
_REDIRECTED: Final = (
    "it is redirected, and the gateway follows no redirects: enter the address that it leads to"
)
_ANOTHER: Final = (
    "HTTP 200, but not of the receiver: something else serves this path, or the receiver is older "
    "than probes"
)
_TAKEN_AWAY: Final = (
    "{} octets of body were sent and {} arrived: a middleware has read the others, or a proxy has "
    "dropped them. Mount the receiver before the middleware, or have that leave bodies alone"
)
_OTHERWISE: Final = (
    "something in front changes what it passes on: {} octets of query were sent and {} arrived, "
    "and of the body {} and {}"
)


@attrs.frozen
class ProbeResult:
    """What became of one probe.

    Attributes:
        kind: the last segment of the callback URL: ``dlr``, ``hlr`` or ``inbound``.
        name: the kind of push that it stands for.
        arrived: whether it reached the receiver as it was sent.
        problem: what stood in the way, and what to do about it; empty if it arrived.
        status: the HTTP status of the answer; None without one.
    """

    kind: str
    name: str
    arrived: bool
    problem: str = ""
    status: int | None = None


@attrs.frozen
class _Trial:
    """A probe with the body and the parameters of a push."""

    name: str
    kind: PushKind
    body: bytes = b""
    query: str = ""


def _trials(inbound: Mapping[str, str]) -> tuple[_Trial, ...]:
    # Should a probe pass for a push where its query is taken away, then nothing is in it.
    text = next((name for name, field in inbound.items() if field in {"text", "bin"}), "text")
    report, rows = b"<DeliveryReport></DeliveryReport>", b"dlr=" + b"%0A" * _ROWS
    dlr, hlr, sms = PushKind.DELIVERY_REPORTS, PushKind.HLR_REPORTS, PushKind.INBOUND_SMS
    return (
        _Trial("a delivery report", dlr, report),
        _Trial("many delivery reports", dlr, report + b" " * (_BIG - len(report))),
        _Trial("HLR reports", hlr, rows),
        _Trial("an inbound SMS", sms, query=f"{text}=%C5%A1+*123%23"),
        _Trial("a long inbound SMS", sms, query=f"{text}=" + "%E2%82%AC" * (_LONG // 9)),
    )


async def check_receiver(
    public_url: str,
    *,
    secret: str | Sequence[str] | None,
    inbound: Mapping[str, str] = DEFAULT_NAMES,
    timeout: float = 20.0,  # noqa: ASYNC109 - of each request
    ssl_context: ssl.SSLContext | None = None,
) -> tuple[ProbeResult, ...]:
    """Push a probe of each kind at a receiver, the way that the gateway's pushes go.

    The receiver knows a probe by its signature, and answers what arrived of it. It keeps nothing,
    and no handler hears of it. Run this from outside, where the gateway is.

    ::

        for result in await check_receiver("https://sms.example.com/infobip", secret=secret):
            print(result.name, "arrives" if result.arrived else result.problem)

    Args:
        public_url: where the receiver can be reached from outside, as `callback_urls` takes it.
        secret: as given to the receiver; of several, the first.
        inbound: as given to the receiver.
        timeout: seconds that each probe may take, with its answer.
        ssl_context: for https; certifi's certificates by default.

    Raises:
        LocalProtocolError: an argument cannot be part of a callback URL.
    """
    urls = callback_urls(public_url, secret=secret, inbound=inbound)
    known = check_secrets(secret)
    verify = ssl_context or public_url.lower().startswith("https")
    # No proxy of the environment: the gateway does not go through ours. It keeps no cookies, and
    # an answer that is packed says nothing more.
    http = httpx.AsyncClient(
        timeout=timeout,
        verify=verify,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        headers={"Accept-Encoding": "identity"},
    )
    with _masked_logs(known):
        async with http:
            ask = partial(_try, http, urls, next(iter(known), ""), timeout)
            return tuple(_explained([await ask(trial) for trial in _trials(inbound)]))


def _explained(results: Sequence[ProbeResult]) -> Iterator[ProbeResult]:
    """Give a push whose answer was lost the answer to a smaller push to the same URL.

    A server that refuses a big body closes the connection before it has read the body, and the
    reset may overtake the answer. The smaller push stands before the bigger one.
    """
    refused: dict[str, ProbeResult] = {}
    for result in results:
        before = refused.setdefault(result.kind, result) if result.problem else result
        lost = result.problem == _HUNG_UP
        yield attrs.evolve(before, name=result.name) if lost else result


@contextmanager
def _masked_logs(secrets: Sequence[str]) -> Iterator[None]:
    """Keep secrets out of the records of the HTTP libraries, which hold each URL."""
    mask = log_mask(secrets)
    mask.guard(*map(logging.getLogger, HTTP_LOGGERS))
    try:
        yield
    finally:
        mask.release()


async def _try(
    http: httpx.AsyncClient, urls: CallbackUrls, key: str, seconds: float, trial: _Trial
) -> ProbeResult:
    probe = Probe.make(trial.kind, key, secrets.token_hex(16), trial.query)
    method = "GET" if trial.kind is PushKind.INBOUND_SMS else "POST"
    url = f"{_url_of(urls, trial.kind)}?{probe.query}"
    try:
        # The timeout for the next octet does not end a reply that trickles in.
        async with (
            asyncio.timeout(seconds),
            http.stream(method, url, content=trial.body or None) as reply,
        ):
            answer = await _beginning(reply)
    except httpx.HTTPError as fault:
        return _result(trial, _unreached(fault))
    except TimeoutError:
        return _result(trial, _TOO_LATE)
    if reply.status_code != HTTPStatus.OK:
        return _result(trial, _refused(reply), reply.status_code)
    expected = await asyncio.to_thread(probe.answer, trial.body)
    problem = "" if answer == expected else _changed(answer, probe, trial)
    return _result(trial, problem, reply.status_code)


async def _beginning(reply: httpx.Response) -> str:
    """Read as much of a reply as a receiver's can have, as it came."""
    octets = b""
    async for piece in reply.aiter_raw():
        octets += piece
        if len(octets) > _LONGEST_ANSWER:
            break
    return octets.decode("ascii", "replace").strip()


def _url_of(urls: CallbackUrls, kind: PushKind) -> str:
    match kind:
        case PushKind.DELIVERY_REPORTS:
            return urls.delivery_reports
        case PushKind.HLR_REPORTS:
            return urls.hlr_reports
        case PushKind.INBOUND_SMS:
            return urls.inbound_sms.partition("?")[0]


def _result(trial: _Trial, problem: str, status: int | None = None) -> ProbeResult:
    return ProbeResult(trial.kind.value, trial.name, not problem, problem, status)


def _unreached(fault: httpx.HTTPError) -> str:
    """Say why no answer came; the texts of these exceptions may hold the URL."""
    reason: BaseException | None = fault
    while reason is not None:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return _UNTRUSTED.format(reason.verify_message)
        if isinstance(reason, ssl.SSLError):
            return _NO_TLS.format(reason.reason)
        reason = reason.__cause__ or reason.__context__
    if isinstance(fault, httpx.ConnectError | httpx.ConnectTimeout):
        return _NOBODY
    return _TOO_LATE if isinstance(fault, httpx.TimeoutException) else _HUNG_UP


def _refused(reply: httpx.Response) -> str:
    if reply.is_redirect:
        return _REDIRECTED
    meaning = _MEANINGS.get(reply.status_code, "something in front answers for the receiver")
    return f"HTTP {reply.status_code}: {meaning}"


def _changed(answer: str, probe: Probe, trial: _Trial) -> str:
    arrived = octets_in(answer)
    if arrived is None:
        return _ANOTHER
    query, body = arrived
    if body < len(trial.body):
        return _TAKEN_AWAY.format(len(trial.body), body)
    return _OTHERWISE.format(len(probe.query), query, len(trial.body), body)
