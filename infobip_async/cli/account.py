"""The options that say which gateway, and whose account; the password is asked for."""

import os
import sys
from typing import TYPE_CHECKING, Final

import attrs
import click

from infobip_async import Endpoints, LocalProtocolError, Ucs2Form
from infobip_async.cli.options import POSITIVE, check_url, options_of

if TYPE_CHECKING:
    from infobip_async import InfobipClient


@attrs.frozen(kw_only=True)
class Account:
    """The options that say which gateway, and who is asking."""

    username: str
    base_url: str | None
    later: bool
    allow_insecure: bool
    proxy: str | None
    ca_file: str | None
    timeout: float

    def client(
        self, *, ucs2: Ucs2Form = Ucs2Form.BINARY, stop_timeout: float = 30.0
    ) -> "InfobipClient":
        """Make a client of the account."""
        from infobip_async import InfobipClient  # noqa: PLC0415 - brings httpx: `preview` needs none

        at = Endpoints.later if self.later else Endpoints.at
        default = Endpoints.later() if self.later else Endpoints()
        return InfobipClient(
            self.username,
            _password(),
            endpoints=at(self.base_url) if self.base_url else default,
            allow_insecure=self.allow_insecure,
            proxy=self.proxy,
            ca_file=self.ca_file,
            read_timeout=self.timeout,
            ucs2=ucs2,
            stop_timeout=stop_timeout,
        )


def _password() -> str:
    """From the environment, or asked for; never an argument, which others could see."""
    if password := os.environ.get("INFOBIP_PASSWORD"):
        return password
    if not sys.stderr.isatty():
        raise click.UsageError("INFOBIP_PASSWORD is not set, and there is no terminal to ask at")
    prompted: str = click.prompt("Password", hide_input=True, err=True)
    return prompted


def _check_base(_: object, __: object, url: str | None) -> str | None:
    """Take the base URL of a gateway, which has no password in it."""
    try:
        if url:
            Endpoints.at(url)
    except LocalProtocolError as fault:
        raise click.BadParameter(fault.args[0]) from None
    return url


account_options: Final = options_of(
    Account,
    "account",
    click.option("-u", "--username", envvar="INFOBIP_USERNAME", required=True),
    click.option(
        "--base-url",
        envvar="INFOBIP_BASE_URL",
        callback=_check_base,
        help="Where the gateway is.",
    ),
    click.option("--later", is_flag=True, help="Use the later addresses."),
    click.option("--allow-insecure", is_flag=True, help="Allow http to other machines."),
    click.option("--proxy", callback=check_url, help="URL of an HTTP proxy."),
    click.option(
        "--ca-file",
        envvar="SSL_CERT_FILE",
        show_envvar=True,
        help="Trust the certificates in this PEM file, such as a company's, and no others.",
    ),
    click.option(
        "--timeout", type=POSITIVE, default=60, show_default=True, help="Seconds per reply."
    ),
)
"""Gives a command the options of `Account`, and the account as ``account``."""
