"""How a push is written as a message of a JetStream stream.

::

    subject  <stream>.push.hlr
    headers  Nats-Msg-Id           an id that equal pushes share
             Nats-Expected-Stream  <stream>
             Infobip-Received      1700000000.25
             Infobip-Wanted        3,17              only where these events were put back
             Infobip-Trace         {"traceparent": "00-..."}     only with a trace context
    payload  the query, a line feed, the body

A push whose events are set aside goes to another stream::

    subject  <stream>.dead.hlr, <stream>.quarantined.hlr
    headers  as above, and
             Infobip-Attempts      10
             Infobip-Reason        RuntimeError: no such customer
             Infobip-At            1700000512.5
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Final

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.journal.base import WHOLE_PUSH
from infobip_async.protocol.exchange import PushKind, RawPush

RECEIVED: Final = "Infobip-Received"
TRACE: Final = "Infobip-Trace"
WANTED: Final = "Infobip-Wanted"
REASON: Final = "Infobip-Reason"
ATTEMPTS: Final = "Infobip-Attempts"
AT: Final = "Infobip-At"

_DIGEST_OCTETS: Final = 16
_NAME: Final = re.compile("[A-Za-z0-9_-]{1,64}")


def check_name(field: str, name: str) -> None:
    """Refuse a name that cannot be a part of a subject.

    Raises:
        LocalProtocolError: the name is not 1 to 64 letters, digits, ``-`` and ``_``.
    """
    if not _NAME.fullmatch(name):
        raise LocalProtocolError("must be 1 to 64 letters, digits, - and _", field=field)


@attrs.frozen
class StreamSubjects:
    """The streams and subjects of one journal.

    Attributes:
        stream: the stream of pushes; the other names begin with it.

    Raises:
        LocalProtocolError: the stream's name cannot be a part of a subject.
    """

    stream: str

    def __attrs_post_init__(self) -> None:
        check_name("stream", self.stream)

    @property
    def set_aside_stream(self) -> str:
        """The stream of dead letters and quarantined events."""
        return f"{self.stream}_set_aside"

    @property
    def suspects_stream(self) -> str:
        """The stream of what became of the events of pushes that workers may have died of."""
        return f"{self.stream}_suspects"

    @property
    def pushes(self) -> str:
        """The subjects of all pushes."""
        return f"{self.stream}.push.*"

    @property
    def purged(self) -> Sequence[str]:
        """Subjects for purges of all pushes that the workers' consumer does not hear of.

        A purge whose subject contains that of a consumer, or is contained in it, empties the
        broker's queue of messages that were given back to this consumer: they would come only
        after its `ack_wait`. None of these subjects contains `pushes`, nor is contained in it.
        """
        return [f"*.push.{kind.value}" for kind in PushKind]

    def push(self, kind: PushKind) -> str:
        """The subject of pushes of a kind."""
        return f"{self.stream}.push.{kind.value}"

    def suspect(self, name: str = "*") -> str:
        """The subject of a push that workers may have died of; of all without a name."""
        return f"{self.stream}.suspects.{name}"

    def set_aside(self, state: str, kind: str = "*") -> str:
        """The subject of pushes with events in a state; of all kinds without one."""
        return f"{self.stream}.{state}.{kind}"


def headers_of(push: RawPush) -> dict[str, str]:
    """Write what belongs to a push and is not in its payload."""
    trace = {TRACE: json.dumps(dict(push.trace_context))} if push.trace_context else {}
    return {RECEIVED: repr(push.received_at), **trace}


def encode(push: RawPush) -> bytes:
    """Write the payload of a push. A query has no line feed."""
    return push.query.encode("utf-8", "surrogatepass") + b"\n" + push.body


def decode(subject: str, payload: bytes, headers: Mapping[str, str] | None) -> RawPush:
    """Read a push from its message."""
    query, _, body = payload.partition(b"\n")
    kind = PushKind(subject.rpartition(".")[2])
    ours = headers or {}
    received, trace = float(ours.get(RECEIVED, "0")), json.loads(ours.get(TRACE, "{}"))
    return RawPush(kind, query.decode("utf-8", "surrogatepass"), body, received, trace)


def message_id(account: str, push: RawPush) -> str:
    """Make the id by which the stream recognises a push that it has.

    Delivery and HLR reports are the same push if their bodies are equal: the gateway sends a
    push again if it saw no 200 for it (§3.1). Two equal inbound SMS can both be real. So their
    time of arrival counts too, and one that is pushed twice is handled twice.
    """
    digest = blake2b(digest_size=_DIGEST_OCTETS)
    parts = [account.encode(), push.kind.value.encode(), push.body]
    if push.kind is PushKind.INBOUND_SMS:
        parts += [push.query.encode("utf-8", "surrogatepass"), repr(push.received_at).encode()]
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()


def join_numbers(numbers: Iterable[int]) -> str:
    """Write numbers of events as a header's value."""
    return ",".join(map(str, sorted(numbers)))


def split_numbers(text: str | None) -> frozenset[int] | None:
    """Read numbers of events from a header's value; None stands for all events."""
    numbers = frozenset(map(int, text.split(","))) if text else None
    return None if numbers is None or WHOLE_PUSH in numbers else numbers


def one_line(text: str) -> str:
    """Make a text fit for a header's value."""
    return " ".join(text.encode(errors="backslashreplace").decode().split())
