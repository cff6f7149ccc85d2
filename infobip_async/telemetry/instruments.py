"""The instruments behind the metrics: what is counted, and what is read when they are collected."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, Final, ParamSpec
from weakref import WeakKeyDictionary

from infobip_async.redaction import SparseLogger

installed: bool
try:
    from opentelemetry import metrics
except ModuleNotFoundError:  # without the extra
    installed = False
else:
    installed = True

Value = str | int | bool
Attributes = Mapping[str, Value]

Read = Callable[[Any], Mapping[str, float]]
"""Reads figures from an object, by the state that each belongs to; without states under ``""``."""

_Sums = defaultdict[frozenset[tuple[str, Value]], float]

_EXCHANGE: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(30.0, 60.0),
)
"""Seconds: the buckets that the conventions advise, up to the client's usual timeout."""
_BUCKETS: Final = {
    "infobip.lookup.duration": (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
    # A report may come after three days: then a message is given up.
    "infobip.delivery.duration": (
        *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0),
        *(3600.0, 4 * 3600.0, 24 * 3600.0, 72 * 3600.0),
    ),
}
_COUNTERS: Final = frozenset({"infobip.run.units", "infobip.lookup.results"})
"""The metrics among those that are read whose figures only grow; the others are levels."""

_sparse_logger = SparseLogger(logging.getLogger("infobip_async.telemetry"))

P = ParamSpec("P")


def harmless(tell: Callable[P, None]) -> Callable[P, None]:
    """Keep a fault of an SDK away from the work that is watched: what is sent stays sent."""

    @wraps(tell)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            tell(*args, **kwargs)
        except Exception as fault:  # noqa: BLE001 - processors and samplers are anybody's
            _sparse_logger.warning("a span or a figure is lost: %s", type(fault).__name__)

    return guarded


class Instruments:
    """Makes each instrument when it is first used: a meter warns of one that is made twice."""

    def __init__(self, meter: Any) -> None:  # noqa: ANN401 - its package may be missing
        self._meter = meter
        self._made: dict[str, Any] = {}
        self._readers: defaultdict[str, WeakKeyDictionary[Any, tuple[Read, Attributes]]] = (
            defaultdict(WeakKeyDictionary)
        )
        self._gone: defaultdict[str, _Sums] = defaultdict(lambda: defaultdict(float))

    def _of(self, name: str, kind: str, **options: object) -> Any:  # noqa: ANN401 - as the meter
        instrument = self._made.get(name)
        if instrument is None:
            instrument = self._made[name] = getattr(self._meter, f"create_{kind}")(name, **options)
        return instrument

    def add(self, name: str, amount: int, attributes: Attributes) -> None:
        """Add to a counter."""
        self._of(name, "counter").add(amount, attributes)

    def set(self, name: str, figure: float, attributes: Attributes) -> None:
        """Set a gauge to the figure that was seen last."""
        self._of(name, "gauge").set(figure, attributes)

    def record(self, name: str, seconds: float, attributes: Attributes) -> None:
        """Add a duration to a histogram."""
        buckets = _BUCKETS.get(name, _EXCHANGE)
        histogram = self._of(
            name, "histogram", unit="s", explicit_bucket_boundaries_advisory=buckets
        )
        histogram.record(seconds, attributes)

    def observe(self, owner: object, reads: Mapping[str, Read], attributes: Attributes) -> None:
        """Read figures of an object whenever metrics are collected; see `Watch.observe`."""
        for name, read in reads.items():
            kind = "observable_counter" if name in _COUNTERS else "observable_gauge"
            self._of(name, kind, callbacks=[partial(self._figures, name)])
            if name in _COUNTERS:
                self._gone[name]  # what this object has counted stays when it is gone
            self._readers[name][owner] = read, attributes

    def forget(self, owner: object) -> None:
        """Read nothing of an object any more; what it has counted stays in the sums."""
        for name, readers in self._readers.items():
            if (reader := readers.pop(owner, None)) and name in self._gone:
                _add(self._gone[name], owner, *reader)

    def _figures(self, name: str, _: object) -> "list[metrics.Observation]":
        sums: _Sums = defaultdict(float, self._gone.get(name, {}))
        for owner, reader in list(self._readers[name].items()):
            _add(sums, owner, *reader)
        return [metrics.Observation(figure, dict(split)) for split, figure in sums.items()]


def _add(sums: _Sums, owner: object, read: Read, attributes: Attributes) -> None:
    for state, figure in read(owner).items():
        split = {**attributes, "infobip.state": state} if state else attributes
        sums[frozenset(split.items())] += figure
