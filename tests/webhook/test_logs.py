"""The secret, and what people write, stay out of every log record and repr."""

import asyncio
import logging

import pytest
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from infobip_async.models.events import DeliveryReport

SECRET = "MARKED-secret.of_the-webhook"
NUMBER = "38598514674"
REPORT = b'<DeliveryReport><message id="1" status="SENT"/></DeliveryReport>'


class Records(logging.Handler):
    """Everything that is logged anywhere, as text: message, attributes, tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.names.add(record.name)
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        formatted = logging.Formatter().format(record)
        self.texts.append(f"{formatted}\n{record.__dict__!r}\n{trace}")


@pytest.fixture
def records():
    """Log everything at DEBUG, the event loop's own records included."""
    loggers = [logging.getLogger(), logging.getLogger("aiohttp.access"), logging.getLogger("own")]
    before = [logger.level for logger in loggers]
    handler = Records()
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield handler
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


async def everything(receiver, secret: str) -> list[int]:
    """Make every kind of request, good and bad."""

    @receiver.router.on(DeliveryReport)
    async def fail(report: DeliveryReport) -> None:
        raise ValueError("a handler's fault")

    prefix = f"/{secret}" if secret else ""
    inbound = f"{prefix}/inbound?sender={NUMBER}&text=it's+private"
    requests = [
        ("POST", f"{prefix}/dlr", REPORT),
        ("POST", f"{prefix}/dlr", b"<unreadable"),
        ("POST", f"{prefix}/hlr", b"dlr=1;2;DELIVRD;;;0%0Aunreadable"),
        ("GET", inbound, b""),
        ("GET", f"{inbound}&text=twice", b""),
        ("GET", inbound.replace("inbound", "inbound/"), b""),
        ("GET", inbound.replace("inbound", "INBOUND"), b""),
        ("PUT", inbound, b""),
        ("POST", f"/mistyped{prefix}/dlr", REPORT),
        ("POST", f"{prefix.upper()}/dlr", REPORT),
    ]
    # aiohttp quotes what it cannot parse, in its answer and in the error that it logs.
    raw = f"POST {prefix}/dlr/\xff HTTP/1.1\r\nHost: x\r\n\r\n"
    replies = [await receiver.send(raw.encode())]
    chunked = f"POST {prefix}/dlr HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nprivate"
    await receiver.send(chunked.encode())
    referer = f"http://x{inbound}"
    replies += [await receiver.request(*request, Referer=referer) for request in requests]
    return [reply.status for reply in replies]


def below_sms(app: web.Application) -> web.Application:
    """Mount the application into another."""
    root = web.Application()
    root.add_subapp("/sms", app)
    return root


@pytest.mark.parametrize(("mount", "path"), [(lambda app: app, ""), (below_sms, "sms/")])
@pytest.mark.parametrize("access_log", ["aiohttp.access", "own"])
async def test_no_record_holds_the_secret(start, records, mount, path, access_log):
    """At DEBUG, with the loop's debug mode, in aiohttp's access log or one of the host's."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0

    receiver = await start(
        secret=[SECRET[:10], SECRET],
        mount=mount,
        runner={"access_log": logging.getLogger(access_log)},
    )

    statuses = await everything(receiver, f"{path}{SECRET}")
    await receiver.aclose()

    assert statuses == [400, 500, 400, 200, 200, 400, 404, 404, 405, 404, 404]
    assert {access_log, "aiohttp.server", "asyncio", "infobip_async.receiver"} <= records.names
    for text in records.texts:
        assert SECRET.lower() not in text.lower()
        assert NUMBER not in text
        assert "private" not in text
    logged = "\n".join(records.texts)
    assert f'"POST /{path}***/dlr HTTP/1.1" 500' in logged
    assert f'"GET /{path}***/inbound HTTP/1.1" 200' in logged
    assert "a handler's fault" in logged
    assert "Invalid char in url path" in logged


class OwnAccessLogger(AbstractAccessLogger):
    """Leaves the formatting to the record."""

    def log(self, request, response, time):
        """Log the path as it is."""
        self.logger.info("got %s", request.rel_url)


async def test_arguments_of_records(start, records):
    """Whatever is formatted late is formatted without the secret."""
    receiver = await start(secret=SECRET, runner={"access_log_class": OwnAccessLogger})

    await receiver.request("GET", f"/{SECRET}/inbound?text=private")

    assert any(text.startswith("got /***/inbound\n") for text in records.texts)
    assert not any(SECRET in text or "private" in text for text in records.texts)


async def test_no_access_log(start, records):
    """A server without an access log is no different otherwise."""
    receiver = await start(runner={"access_log": None})

    assert (await receiver.post("dlr", REPORT)).status == 200
    assert "aiohttp.access" not in records.names


async def test_no_record_holds_the_query(start, records):
    """Without a secret the queries of the routes stay out of the log, too."""
    receiver = await start(secret=None)

    await everything(receiver, "")

    assert any('"GET /inbound HTTP/1.1" 200' in text for text in records.texts)
    for text in records.texts:
        assert NUMBER not in text
        assert "private" not in text


async def test_other_records_stay_as_they_are(start, records):
    """Requests of the host's are logged with their query, and errors with their traceback."""

    async def own(_: web.Request) -> web.Response:
        raise ValueError("the host's fault")

    def mount(app: web.Application) -> web.Application:
        root = below_sms(app)
        root.router.add_get("/own", own)
        return root

    receiver = await start(mount=mount, secret=SECRET)

    assert (await receiver.request("GET", "/own?inbound=1")).status == 500
    assert any('"GET /own?inbound=1 HTTP/1.1" 500' in text for text in records.texts)
    assert any("ValueError: the host's fault" in text for text in records.texts)


async def test_the_loggers_are_left_as_they_were(start, records):
    """After the application has stopped, nothing of it is left on any logger."""
    loggers = [logging.getLogger(name) for name in ("aiohttp.access", "aiohttp.server", "own")]
    before = [list(logger.filters) for logger in loggers]
    receiver = await start(runner={"access_log": logging.getLogger("own")})
    await receiver.post("dlr", REPORT)
    await receiver.post("dlr", REPORT)
    assert [len(logger.filters) for logger in loggers] == [len(one) + 1 for one in before]

    await receiver.aclose()

    assert [logger.filters for logger in loggers] == before


async def test_no_record_holds_the_encoded_secret(start, records):
    """A URL that spells it in another way is not served, and not logged as it came."""
    receiver = await start(secret=SECRET)
    spelt = "".join(f"%{ord(character):02x}" for character in SECRET)

    assert (await receiver.request("POST", f"/{spelt}/dlr", REPORT)).status == 404
    assert not any(spelt in text for text in records.texts)


async def test_no_repr_holds_the_secret(start):
    """Neither the application nor what it routes to shows the secret."""
    receiver = await start(secret=SECRET)
    route = next(iter(receiver.app.router.routes()))
    shown = (
        receiver.app,
        receiver.app.router,
        route,
        route.handler.__self__,
        receiver.app.on_shutdown,
    )

    assert SECRET not in "".join(map(repr, shown))
