"""Probes: requests that ask whether pushes arrive, and are answered with what did arrive.

::

    POST /<secret>/dlr?infobip-async-probe=<nonce>.<signature>
    GET  /<secret>/inbound?infobip-async-probe=<nonce>.<signature>&text=...

    200 infobip-async-probe <octets of the query> <octets of the body> <signature of both>

The signatures are HMACs of the secret. A probe goes the way of a push up to the receiver, which
neither keeps it nor hands it to a handler. Its mark is in the query, since proxies drop headers.
"""

import hmac
import re
from collections.abc import Sequence
from typing import Final, Self

import attrs

from infobip_async.protocol.exchange import PushKind

_NAME: Final = "infobip-async-probe"
MARK: Final = f"{_NAME}="
"""What the query of a probe begins with."""
_ANSWER: Final = re.compile(f"{_NAME} ([0-9]{{1,9}}) ([0-9]{{1,9}}) [0-9a-f]{{64}}")


def _sign(secret: str, *parts: bytes) -> str:
    signature = hmac.new(secret.encode(), digestmod="sha256")
    for part in parts:
        signature.update(len(part).to_bytes(8, "big"))  # so that no part can pass for another
        signature.update(part)
    return signature.hexdigest()


@attrs.frozen
class Probe:
    """A request that asks whether pushes of a kind arrive.

    Attributes:
        kind: the kind of pushes that it stands for.
        query: the whole query, in printable ASCII.
        secret: the secret of the path; empty where paths have none.
    """

    kind: PushKind
    query: str = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)

    @classmethod
    def make(cls, kind: PushKind, secret: str, nonce: str, more: str = "") -> Self:
        """Make a probe.

        Args:
            kind: the kind of pushes that it stands for.
            secret: the secret of the path; empty where paths have none.
            nonce: letters and digits that no other probe has.
            more: further parameters of the query.
        """
        signature = _sign(secret, kind.value.encode(), nonce.encode())
        return cls(kind, f"{MARK}{nonce}.{signature}" + (f"&{more}" if more else ""), secret)

    @classmethod
    def of(cls, kind: PushKind, query: str, secrets: Sequence[str]) -> Self:
        """Read a request that was admitted, and has the `MARK`.

        Raises:
            ValueError: none of the secrets signed it.
        """
        nonce, _, given = query.partition("&")[0].partition("=")[2].partition(".")
        for secret in secrets or ("",):
            if hmac.compare_digest(_sign(secret, kind.value.encode(), nonce.encode()), given):
                return cls(kind, query, secret)
        raise ValueError("a probe that no secret signed")

    def answer(self, body: bytes) -> str:
        """Say what arrived."""
        signature = _sign(self.secret, self.query.encode(), body)
        return f"{_NAME} {len(self.query)} {len(body)} {signature}"


def octets_in(answer: str) -> tuple[int, int] | None:
    """Read how many octets of query and body an answer says to have arrived; None if it is none."""
    found = _ANSWER.fullmatch(answer)
    return (int(found[1]), int(found[2])) if found else None
