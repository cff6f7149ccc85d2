"""What a run may use up: so many parts or numbers, and the credits down to a limit."""

from decimal import Decimal

import attrs


@attrs.define
class Budget:
    """Counts what went out, and says how much more may.

    The price of a unit is not known before the gateway has charged one: the highest price seen so
    far is reckoned with, and the first request of a run has one item.

    Attributes:
        most: parts or numbers that may go out; None for no limit.
        min_credits: what must be left of the balance; None for no limit.
        used: parts or numbers that went out.
    """

    most: int | None = None
    min_credits: Decimal | None = None
    used: int = attrs.field(default=0, init=False)
    _credits: Decimal | None = attrs.field(default=None, init=False)
    _charged: int = attrs.field(default=0, init=False)
    _price: Decimal | None = attrs.field(default=None, init=False)

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.most is not None or self.min_credits is not None

    @property
    def asks(self) -> bool:
        """Whether the balance must be asked for before more goes out."""
        if self.min_credits is None:
            return False
        if self._credits is None:
            return True
        if self.used <= self._charged:
            return False
        return self._price is None or 2 * self._reckoned >= self._credits - self.min_credits

    @property
    def _reckoned(self) -> Decimal:
        """Credits that what went out since the balance was told will cost."""
        return (self.used - self._charged) * (self._price or Decimal(0))

    def room(self, items: int, units: int) -> int:
        """How many of so many items, each of so many units, may go out now."""
        if self.most is not None:
            items = min(items, (self.most - self.used) // units)
        if self.min_credits is not None and self._credits is not None:
            left = self._credits - self.min_credits - self._reckoned
            if left <= 0:
                return 0
            if self._price:
                items = min(items, int(left / (self._price * units)))
        return max(items, 0)

    def take(self, units: int) -> None:
        """Count units that go out; a negative number takes back what did not."""
        self.used += units

    def balance(self, left: Decimal, *, in_flight: int = 0) -> None:
        """Take the balance that the gateway tells.

        Args:
            left: the credits.
            in_flight: units that went out and may not be charged yet.
        """
        charged = self.used - in_flight
        if self._credits is not None and charged > self._charged:
            price = (self._credits - left) / (charged - self._charged)
            self._price = max(self._price or Decimal(0), price)
        self._credits, self._charged = left, charged

    @property
    def reason(self) -> str:
        """Why there is no room, in words."""
        if self.most is not None and self.used >= self.most:
            return f"the limit of {self.most:,} is reached"
        if self.min_credits is not None and self._credits is not None:
            return f"{self._credits} credits are left, and {self.min_credits} must be"
        return f"the next item is too large for what is left of the limit of {self.most:,}"
