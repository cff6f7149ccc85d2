"""A receiver inside a command: bound to an address, with the URLs to enter in the account."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from aiohttp import web

from infobip_async import CallbackUrls, Router
from infobip_async.webhook import callback_urls, webhook_app


class Address(click.ParamType[tuple[str, int]]):
    """``HOST:PORT``, where port 0 is any that is free."""

    name = "host:port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Take host and port apart."""
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not (host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return host.strip("[]"), int(port)


@asynccontextmanager
async def receiving(
    router: Router,
    address: tuple[str, int],
    *,
    secret: str | None = None,
    public: str | None = None,
) -> AsyncIterator[CallbackUrls]:
    """Receive pushes on an address, and give the URLs for them.

    Args:
        router: gets the events.
        address: host and port to listen on.
        secret: in the paths; a new random one without it.
        public: the URL that leads here from outside; this machine's own address without it.
    """
    secret = secret or secrets.token_urlsafe(24)
    runner = web.AppRunner(webhook_app(router, secret=secret), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, *address).start()
        host, port = runner.addresses[0][:2]
        host = f"[{host}]" if ":" in host else host
        yield callback_urls(public or f"http://{host}:{port}", secret=secret)
    finally:
        await runner.cleanup()


def announce(urls: CallbackUrls) -> None:
    """Say on standard error what to enter in the account's profile page (§3.1, §5, §6)."""
    click.echo("Enter in the account's profile page:", err=True)
    click.echo(f"  delivery reports  {urls.delivery_reports}", err=True)
    click.echo(f"  HLR reports       {urls.hlr_reports}", err=True)
    click.echo(f"  inbound SMS       {urls.inbound_sms}", err=True)
