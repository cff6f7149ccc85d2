"""A circuit breaker: when something that keeps failing may be tried again, and when no more.

Pure: the time is an argument. It has three states. *Closed*: requests go out side by side.
*Alone*: one request at a time, and a small one, because nobody knows whether it will be answered;
this is also how it starts. *Given up*: nothing goes out any more.
"""

from typing import Final

import attrs

THRESHOLD: Final = 3
"""Requests in a row without an answer after which pauses begin."""

PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each probe; the failure of the last one is the end."""

_FIRST_RETRY: Final = 0.1
_LONGEST_RETRY: Final = 5.0


@attrs.define
class Breaker:
    """Counts failures in a row, and says when the next attempt may be made.

    Attributes:
        unreachable_timeout: seconds that a peer which cannot be connected to is waited for.
        alone: whether one request goes out at a time.
        not_before: the time before which nothing goes out.
        proven: whether there was an answer at all.
    """

    unreachable_timeout: float
    alone: bool = attrs.field(default=True, init=False)
    not_before: float = attrs.field(default=float("-inf"), init=False)
    proven: bool = attrs.field(default=False, init=False)
    _unanswered: int = attrs.field(default=0, init=False)
    _away_since: float | None = attrs.field(default=None, init=False)
    _retry: float = attrs.field(default=_FIRST_RETRY, init=False)

    @property
    def waits(self) -> bool:
        """Whether the peer is waited for: the last requests had no answer."""
        return self.alone and (self._unanswered > 0 or self._away_since is not None)

    def answered(self) -> None:
        """A request was answered: requests go out side by side."""
        self.proven, self.alone = True, False
        self._unanswered = 0
        self._reached()

    def doubt(self) -> None:
        """An answer does not say whether the next request has a point: one at a time."""
        self.alone = True

    def unanswered(self, now: float, *, alone: bool) -> bool:
        """A request may have arrived, and was not answered.

        Args:
            now: the time.
            alone: whether it went out alone. Others began before the trouble was known, and say
                nothing new.

        Returns:
            Whether there is a point in going on.
        """
        self._reached()
        if self.alone and not alone:
            return True
        self._unanswered += 1
        probes = self._unanswered - THRESHOLD
        if probes >= len(PAUSES):
            return False
        if probes >= 0:
            self.alone, self.not_before = True, now + PAUSES[probes]
        return True

    def unreached(self, now: float) -> bool:
        """A request did not leave, since nobody could be connected to; returns as `unanswered`."""
        self.alone = True
        if self._away_since is None:
            self._away_since = now
        left = self._away_since + self.unreachable_timeout - now
        if left <= 0:
            return False
        if now >= self.not_before:  # else it began before this pause
            self.not_before = now + min(self._retry, left)
            self._retry = min(2 * self._retry, _LONGEST_RETRY)
        return True

    def rest(self) -> None:
        """Make no attempt for a while: in this time the peer does not count as away."""
        if self._away_since is not None:
            self._reached()

    def _reached(self) -> None:
        self._away_since, self._retry = None, _FIRST_RETRY
