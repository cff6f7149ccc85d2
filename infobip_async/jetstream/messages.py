"""What posts are in a JetStream stream.

::

    subject  <stream>.post.hlr
    headers  Nats-Msg-Id           its id, for 26 hours
             Nats-Expected-Stream  <stream>
             Infobip-Received      1700000000.25
             Infobip-Wanted        3,17              only where these events were put back
    payload  the query, a line feed, the body
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

import attrs

from infobip_async.journal.base import WHOLE_PUSH
from infobip_async.protocol.exchange import PushKind, RawPush

RECEIVED: Final = "Infobip-Received"
WANTED: Final = "Infobip-Wanted"
REASON: Final = "Infobip-Reason"
ATTEMPTS: Final = "Infobip-Attempts"
AT: Final = "Infobip-At"

_DIGEST_OCTETS: Final = 16


@attrs.frozen
class Names:
    """The names of everything in a broker that belongs to one journal.

    Attributes:
        stream: the stream of posts, after which the rest is called.
    """

    stream: str

    @property
    def kept(self) -> str:
        """The stream of dead letters and of what could not be read."""
        return f"{self.stream}_kept"

    @property
    def posts(self) -> str:
        """The subjects of all posts."""
        return f"{self.stream}.post.*"

    def post(self, kind: PushKind) -> str:
        """The subject of posts of a kind."""
        return f"{self.stream}.post.{kind.value}"

    def set_aside(self, state: str, kind: str) -> str:
        """The subject of posts with events in a state, of a kind, which may be ``*``."""
        return f"{self.stream}.{state}.{kind}"


def encode(push: RawPush) -> bytes:
    """The payload of a post. A query has no line feed."""
    return push.query.encode("utf-8", "surrogatepass") + b"\n" + push.body


def decode(subject: str, payload: bytes, headers: Mapping[str, str] | None) -> RawPush:
    """A post from its message."""
    query, _, body = payload.partition(b"\n")
    kind = PushKind(subject.rpartition(".")[2])
    received = float((headers or {}).get(RECEIVED, "0"))
    return RawPush(kind, query.decode("utf-8", "surrogatepass"), body, received)


def message_id(account: str, push: RawPush) -> str:
    """What tells a post from others.

    A delivery report or HLR post is the same when its body is: the gateway sends again what it
    saw no 200 for (§3.1). Two equal inbound messages can both be real; the time of arrival
    tells them apart, and lets one and the same be handed on twice.
    """
    digest = blake2b(digest_size=_DIGEST_OCTETS)
    parts = [account.encode(), push.kind.value.encode(), push.body]
    if push.kind is PushKind.INBOUND_SMS:
        parts += [push.query.encode("utf-8", "surrogatepass"), repr(push.received_at).encode()]
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()


def join_numbers(numbers: Iterable[int]) -> str:
    """Numbers of events, as a header has them."""
    return ",".join(map(str, sorted(numbers)))


def split_numbers(text: str | None) -> frozenset[int] | None:
    """The other way; None stands for all events."""
    numbers = frozenset(map(int, text.split(","))) if text else None
    return None if numbers is None or WHOLE_PUSH in numbers else numbers


def one_line(text: str) -> str:
    """A text as a header can have it."""
    return " ".join(text.encode(errors="backslashreplace").decode().split())
