"""The addresses of the API: what each takes, and what answers it."""

from collections.abc import Awaitable, Callable

import attrs

from infobip_async.simulator.bell import Bell
from infobip_async.simulator.clock import Clock
from infobip_async.simulator.console.fields import Field, Given, Json
from infobip_async.simulator.console.recorder import Recorder
from infobip_async.simulator.faults import Faults
from infobip_async.simulator.gateway import Gateway
from infobip_async.simulator.pusher import Pusher
from infobip_async.simulator.records import SentMessage

Answers = Awaitable[tuple[int | None, ...]]


@attrs.frozen(kw_only=True)
class Desk:
    """The parts of a simulator that the console looks at, and what it can have done.

    Attributes:
        recorder: what happened.
        gateway: the accounts, and what was decided about numbers.
        faults: what goes wrong.
        clock: the time.
        pusher: pushes again.
        bell: rings when a request has arrived, or a push has ended.
        inbound: sends a message from a handset: sender, text, octets and receiver.
        report: reports on a message: message, status, delay in seconds.
        reset: forgets everything.
    """

    recorder: Recorder
    gateway: Gateway
    faults: Faults
    clock: Clock
    pusher: Pusher
    bell: Bell
    inbound: Callable[[str, str | None, bytes | None, str | None], Answers]
    report: Callable[[SentMessage, str, float], None]
    reset: Callable[[], None]

    def changed(self) -> None:
        """Tell all who watch that something was decided."""
        self.recorder.revision += 1
        self.bell.ring()


Handler = Callable[[Desk, Given, str], Awaitable[Json]]


@attrs.frozen
class Route:
    """An address of the API.

    Attributes:
        method: of HTTP.
        path: behind the prefix; ``{id}`` stands for one segment.
        fields: of the query where the method is GET, else of the body.
        handler: gives the answer; the first line of its docstring says what it does.
    """

    method: str
    path: str
    fields: tuple[Field, ...]
    handler: Handler

    def match(self, path: str) -> str | None:
        """The segment of a path that stands for the id, empty for none; None for another path."""
        wanted, given = self.path.split("/"), path.split("/")
        pairs = list(zip(wanted, given, strict=False))
        if len(wanted) != len(given) or any(want not in {"{id}", has} for want, has in pairs):
            return None
        return next((has for want, has in pairs if want == "{id}"), "")


class Routes(list[Route]):
    """Addresses, in the order in which they are described."""

    def on(self, method: str, path: str, *fields: Field) -> Callable[[Handler], Handler]:
        """Add the handler of an address, as a decorator."""

        def add(handler: Handler) -> Handler:
            self.append(Route(method, path, fields, handler))
            return handler

        return add
