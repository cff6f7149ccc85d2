"""A receiver inside a command: bound to an address, with the URLs to enter in the account."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final

import attrs
import click

from infobip_async import CallbackUrls, Router
from infobip_async.cli.options import Decorator

if TYPE_CHECKING:
    from infobip_async.journal import Journal

public_url_option: Final = click.option(
    "--public-url", help="The URL that leads here from outside."
)
secret_option: Final = click.option(
    "--secret",
    envvar="INFOBIP_WEBHOOK_SECRET",
    help="In the paths; better set in the environment. A new one each time without it.",
)


def read_address(
    _: click.Context, __: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    """Take ``HOST:PORT`` apart, as click's callback; port 0 is any that is free."""
    if value is None:
        return None
    host, _colon, port = value.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise click.BadParameter(f"{value!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


@asynccontextmanager
async def receiving(
    router: Router,
    address: tuple[str, int],
    *,
    secret: str | None = None,
    public: str | None = None,
    journal: "Journal | None" = None,
) -> AsyncIterator[CallbackUrls]:
    """Receive pushes on an address, and give the URLs for them.

    Args:
        router: gets the events.
        address: host and port to listen on.
        secret: in the paths; a new random one without it.
        public: the URL that leads here from outside; this machine's own address without it.
        journal: keeps posts until they are handled.

    Raises:
        OSError: the address cannot be listened on.
    """
    # A server's library loads slowly, and most commands that could receive do not.
    from infobip_async.webhook import callback_urls, listening, webhook_app  # noqa: PLC0415

    secret = secret or secrets.token_urlsafe(24)
    app = webhook_app(router, secret=secret, journal=journal)
    async with listening(app, *address) as base_url:
        yield callback_urls(public or base_url, secret=secret)


@attrs.frozen(kw_only=True)
class Receiver:
    """Where pushes come in."""

    receive: tuple[str, int] | None
    public_url: str | None
    secret: str | None = attrs.field(repr=False)

    def listen(
        self, router: Router, journal: "Journal | None" = None
    ) -> AbstractAsyncContextManager[CallbackUrls]:
        """Receive pushes, where an address is given for that; see `receiving`."""
        assert self.receive is not None  # noqa: S101 - whoever calls this has looked
        return receiving(
            router, self.receive, secret=self.secret, public=self.public_url, journal=journal
        )


def receiver_options(what: str, *, default: str | None = None) -> tuple[Decorator, ...]:
    """Make the options of a `Receiver`, for `options_of`."""
    address = click.option(
        "--receive",
        callback=read_address,
        default=default,
        show_default=default is not None,
        metavar="HOST:PORT",
        help=what,
    )
    return address, public_url_option, secret_option


def announce(urls: CallbackUrls) -> None:
    """Say on standard error what to enter in the account's profile page (§3.1, §5, §6)."""
    click.echo("Enter in the account's profile page:", err=True)
    click.echo(f"  delivery reports  {urls.delivery_reports}", err=True)
    click.echo(f"  HLR reports       {urls.hlr_reports}", err=True)
    click.echo(f"  inbound SMS       {urls.inbound_sms}", err=True)
