"""Who may use the console: this machine, or whoever has the token.

A page of another origin in the tester's browser must neither read nor write here. Neither must a
foreign name that was pointed to this machine (DNS rebinding), nor another machine.
"""

import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, Self

import attrs

from infobip_async.protocol.exchange import is_loopback
from infobip_async.simulator.console.fields import Refusal

COOKIE: Final = "infobip_simulator"
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^\[\]:/?#@\s]+)(:[0-9]*)?")
_OWN_SITE: Final = frozenset({"same-origin", "none"})


@attrs.frozen
class Guard:
    """The rules of access.

    Attributes:
        hosts: names besides those of this machine by which the console may be reached.
        token: what whoever asks must know; None where only this machine may ask.
    """

    hosts: frozenset[str] = frozenset()
    token: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, hosts: Sequence[str], token: str | None) -> Self:
        """Make the rules; a token is made where other names are allowed and none is given."""
        needed = token or (secrets.token_urlsafe(16) if hosts else None)
        return cls(frozenset(host.lower().strip("[]") for host in hosts), needed)

    def check(self, headers: Mapping[str, str], peer: str, *, navigation: bool) -> None:
        """Refuse a request of a foreign host, of a foreign page, or from another machine.

        Args:
            headers: of the request, by name; ``Host`` stands once.
            peer: the address that it came from.
            navigation: it asks for the page itself, which a link may lead to.

        Raises:
            Refusal: with status 403.
        """
        host = headers.get("Host", "")
        name = _name_of(host)
        if not is_loopback(name) and name not in self.hosts:
            raise _forbidden("this name is not allowed: see console_hosts, or --console-host")
        if headers.get("Origin", f"http://{host}").lower() != f"http://{host}".lower():
            raise _forbidden("a page of another origin may not use the console")
        if headers.get("Sec-Fetch-Site", "none") not in _OWN_SITE and not navigation:
            raise _forbidden("a page of another site may not use the console")
        if self.token is None and not is_loopback(peer):
            raise _forbidden("another machine needs a token: see console_hosts, or --console-host")

    def check_token(self, given: Sequence[str | None]) -> None:
        """Refuse a request with none of its tokens right.

        Args:
            given: the token in its address, in its header and in its cookie.

        Raises:
            Refusal: with status 403.
        """
        if self.token is None:
            return
        known, tokens = _octets(self.token), map(_octets, filter(None, given))
        if not any(hmac.compare_digest(known, each) for each in tokens):
            raise _forbidden("open the console by the address that was printed, with its token")


def _octets(token: str) -> bytes:
    return token.encode("utf-8", "surrogateescape")  # as octets of headers come


def _forbidden(reason: str) -> Refusal:
    return Refusal(HTTPStatus.FORBIDDEN, reason)


def _name_of(host: str) -> str:
    """The name in a Host header, without its port; empty where there is none."""
    found = _HOST.fullmatch(host)
    return found["name"].lower().strip("[]") if found else ""
