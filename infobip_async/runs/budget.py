"""What a run may use up: so many parts or numbers, and the credits down to a limit."""

from decimal import Decimal
from typing import Final

import attrs

_FEW: Final = 100
"""Units that may go out on a price that was seen on fewer."""


@attrs.define
class Budget:
    """Counts the parts or numbers that went out, and says how many more may go out.

    The price of a unit is not known before the gateway has charged one: until then one item goes
    out at a time. Later the highest price seen so far is reckoned with, and no more goes out on it
    than it was seen on, since the first item may be a cheap one.

    A balance that is told while requests are in flight may include their charge: the price that is
    seen then may be too high. A balance that is told between requests corrects that.

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
    _sure_credits: Decimal | None = attrs.field(default=None, init=False)
    _sure_charged: int = attrs.field(default=0, init=False)
    _sure_price: Decimal | None = attrs.field(default=None, init=False)

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.most is not None or self.min_credits is not None

    def asks(self, units: int) -> bool:
        """Whether the balance must be asked for before an item of so many units goes out."""
        if self.min_credits is None:
            return False
        if self._credits is None:
            return True
        if not self._stale or not self._price or self._trusted < units:
            return self._stale
        left, reckoned = self._credits - self.min_credits, self._reckoned
        return 2 * reckoned >= left or reckoned + self._price * units > left

    @property
    def _stale(self) -> bool:
        """Whether more went out since the balance was told."""
        return self.used > self._charged

    @property
    def _trusted(self) -> int:
        """How many more units may go out before the balance is told again."""
        return max(self._charged, _FEW) - (self.used - self._charged)

    @property
    def _reckoned(self) -> Decimal:
        """The cost of the units that went out since the gateway told the balance."""
        return (self.used - self._charged) * (self._price or Decimal(0))

    def room(self, items: int, units: int) -> int:
        """How many of so many items, each of so many units, may go out now."""
        if self.most is not None:
            items = min(items, (self.most - self.used) // units)
        if self.min_credits is not None and self._credits is not None:
            left = self._credits - self.min_credits - self._reckoned
            if left <= 0:
                return 0
            # As long as nothing was charged, such as for bad numbers, one finds the price out.
            most = int(left / (self._price * units)) if self._price else int(not self._stale)
            # One item goes out in any case, however large, once all else is charged.
            items = min(items, most, max(self._trusted // units, int(not self._stale)))
        return max(items, 0)

    def take(self, units: int) -> None:
        """Count units that go out; a negative number takes units back that did not."""
        self.used += units

    def balance(self, left: Decimal, charged: int) -> None:
        """Take the balance that the gateway tells when it is asked.

        Args:
            left: the credits.
            charged: units that have been charged for certain.
        """
        if self._credits is not None and charged > self._charged:
            price = (self._credits - left) / (charged - self._charged)
            self._price = max(self._price or Decimal(0), price)
        self._credits, self._charged = left, charged
        if charged == self.used:
            self._correct_price(left)

    def _correct_price(self, left: Decimal) -> None:
        """Take the highest price seen between two balances that were told between requests."""
        if self._sure_credits is not None and self.used > self._sure_charged:
            price = (self._sure_credits - left) / (self.used - self._sure_charged)
            self._price = self._sure_price = max(self._sure_price or Decimal(0), price)
        self._sure_credits, self._sure_charged = left, self.used

    def hear(self, left: Decimal, charged: int) -> None:
        """Take the balance that a reply tells by the way; as `balance`.

        Replies overtake each other, so a balance that is higher than the one before is old.
        """
        if self._credits is None or left <= self._credits:
            self.balance(left, charged)

    @property
    def reason(self) -> str:
        """Why there is no room, in words."""
        if self.most is not None and self.used >= self.most:
            return f"{self.most:,} parts or numbers have gone out, as many as may"
        if self.min_credits is not None and self._credits is not None:
            return f"{self._credits} credits are left, and {self.min_credits} must be"
        return f"the next item is too large for what is left of {self.most:,} parts or numbers"
