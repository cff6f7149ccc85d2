"""How a bulk send is run."""

import asyncio
from pathlib import Path
from typing import Literal, TypedDict, get_args

import attrs

from infobip_async.errors import LocalProtocolError
from infobip_async.protocol.send_xml import MAX_RECIPIENTS

Guarantee = Literal["at_most_once", "at_least_once"]
"""How often an item may be sent whose outcome an earlier run did not learn."""


class BulkOptions(TypedDict, total=False):
    """The fields of `BulkSettings`, as keyword arguments."""

    batch_size: int
    batch_age: float
    requests: int
    window: int
    rate: float | None
    attempts: int
    job: str | Path | None
    guarantee: Guarantee
    stop: asyncio.Event | None
    stop_timeout: float


@attrs.frozen(kw_only=True)
class BulkSettings:
    """How a bulk send is run.

    Attributes:
        batch_size: items of one message that share a request, up to 10,000. Where the gateway
            accepts fewer than a request has, the outcome of all of them is unknown, since it does
            not say which.
        batch_age: seconds that an item waits for others to share its request.
        requests: requests in flight at the most.
        window: items that have been read and whose results have not been taken, at the most.
        rate: parts per second at the most, evenly: no request has more than a tenth of it, or one
            item. None for no limit.
        attempts: times that a request is tried while the gateway cannot be reached, with pauses
            between them that grow from 0.1 to 30 s; ten take most of a minute. Only what has not
            left this machine is tried again.
        job: a file that remembers intents and outcomes, so that the same call with the same
            source goes on after a crash; None to remember nothing.
        guarantee: what the next run of a job does with items whose outcome is unknown:
            ``at_most_once`` reports them as they are; ``at_least_once`` sends them again, but for
            those of a request that the gateway answered, accepting fewer than it had.
        stop: to be set by the caller, to stop the run: nothing more is read or sent, and what was
            read still gets its outcome.
        stop_timeout: seconds that leaving the results early waits for requests in flight.
    """

    batch_size: int = 100
    batch_age: float = 0.05
    requests: int = 8
    window: int = 10_000
    rate: float | None = None
    attempts: int = 10
    job: str | Path | None = None
    guarantee: Guarantee = "at_most_once"
    stop: asyncio.Event | None = None
    stop_timeout: float = 30.0

    def check(self) -> None:
        """Refuse settings that are out of their range.

        Raises:
            LocalProtocolError: naming the setting.
        """
        if not 1 <= self.batch_size <= MAX_RECIPIENTS:
            raise LocalProtocolError(f"must be from 1 to {MAX_RECIPIENTS}", field="batch_size")
        for name in ("requests", "window", "attempts"):
            if getattr(self, name) < 1:
                raise LocalProtocolError("must be 1 or more", field=name)
        for name in ("batch_age", "stop_timeout"):
            if getattr(self, name) < 0:
                raise LocalProtocolError("must be 0 or more", field=name)
        if self.rate is not None and self.rate <= 0:
            raise LocalProtocolError("must be above 0", field="rate")
        if self.guarantee not in get_args(Guarantee):
            raise LocalProtocolError(f"{self.guarantee!r} is none", field="guarantee")
