"""What a run may use up: plain data."""

from decimal import Decimal

import pytest

from infobip_async.runs.budget import Budget


def priced(left: int) -> Budget:
    """One whose balance is that, after a unit that cost 1."""
    budget = Budget(min_credits=Decimal(0))
    budget.balance(Decimal(left + 1), 0)
    budget.take(1)
    budget.balance(Decimal(left), 1)
    return budget


def test_without_limits() -> None:
    """Everything may go out, and the balance is of no interest."""
    budget = Budget()
    budget.take(1_000_000)
    assert not budget.limited
    assert not budget.asks(1)
    assert budget.room(10_000, 3) == 10_000


def test_so_many_units() -> None:
    """What goes out counts, and what came back unsent does not."""
    budget = Budget(most=10)
    assert budget.limited
    assert budget.room(4, 3) == 3
    budget.take(9)
    assert (budget.room(4, 3), budget.room(4, 1)) == (0, 1)
    budget.take(-3)
    assert budget.room(4, 1) == 4
    budget.take(4)
    assert budget.room(4, 1) == 0
    assert budget.reason == "10 parts or numbers have gone out, as many as may"


def test_a_limit_that_leaves_a_rest() -> None:
    """The reason says that the next item is too large."""
    budget = Budget(most=10)
    budget.take(9)
    assert budget.room(1, 2) == 0
    assert "too large" in budget.reason


def test_nothing_may_go_out() -> None:
    """A limit of none is one."""
    assert Budget(most=0).room(1, 1) == 0


def test_the_balance_must_be_known() -> None:
    """It is asked for before anything goes out."""
    budget = Budget(min_credits=Decimal(5))
    assert budget.asks(1)
    budget.balance(Decimal(100), 0)
    assert not budget.asks(1)
    assert budget.room(100, 1) == 1  # nobody knows the price


@pytest.mark.parametrize("left", ["4.99", "5"])
def test_a_balance_at_its_limit(left: str) -> None:
    """Nothing may go out, and the reason is told."""
    budget = Budget(min_credits=Decimal(5))
    budget.balance(Decimal(left), 0)
    assert budget.room(1, 1) == 0
    assert budget.reason == f"{left} credits are left, and 5 must be"


def test_the_price_is_found_out() -> None:
    """By one item, whose charge is seen; then as many may go out as the balance pays for."""
    budget = Budget(min_credits=Decimal(5))
    budget.balance(Decimal(100), 0)
    budget.take(1)
    assert budget.room(100, 1) == 0  # the price is on its way
    assert budget.asks(1)
    budget.balance(Decimal(98), 1)
    assert not budget.asks(1)
    assert (budget.room(100, 1), budget.room(100, 3)) == (46, 15)


def test_items_that_cost_nothing_tell_no_price() -> None:
    """Such as numbers that the gateway refuses: one after the other goes out until one is paid."""
    budget = Budget(min_credits=Decimal(5))
    budget.balance(Decimal(100), 0)
    for count in range(1, 5):
        assert budget.room(100, 1) == 1
        budget.take(1)
        assert budget.room(100, 1) == 0
        assert budget.asks(1)
        budget.balance(Decimal(100), count)


def test_the_highest_price_is_reckoned_with() -> None:
    """A cheap network does not make the next one cheap."""
    budget = Budget(min_credits=Decimal(0))
    budget.balance(Decimal(100), 0)
    budget.take(10)
    budget.balance(Decimal(60), 10)
    budget.take(10)
    budget.balance(Decimal(50), 20)
    assert budget.room(100, 1) == 12


def test_what_went_out_is_reckoned_with() -> None:
    """Before its charge is seen; the balance is asked for when half of it may be gone."""
    budget = priced(100)
    budget.take(40)
    assert budget.room(1_000, 1) == 60
    assert not budget.asks(1)
    budget.take(10)
    assert budget.asks(1)


def test_a_large_item_asks_for_the_balance() -> None:
    """Where it would not fit with what is reckoned, and may with what was charged."""
    budget = priced(100)
    budget.take(40)
    assert not budget.asks(60)
    assert budget.asks(61)
    budget.balance(Decimal(90), 41)
    assert budget.room(1, 61) == 1


def test_balances_of_replies_overtake_each_other() -> None:
    """An older one, which is higher, is passed over: it would let too much out."""
    budget = Budget(min_credits=Decimal(0))
    budget.hear(Decimal(100), 0)
    budget.take(10)
    budget.take(10)
    budget.hear(Decimal(80), 10)  # of the second request; the first one is still in flight
    budget.hear(Decimal(90), 20)  # the reply to the first one, from before the second
    assert budget.room(1_000, 1) <= 80


def test_a_balance_that_was_asked_for_may_be_higher() -> None:
    """Somebody has paid in."""
    budget = priced(9)
    budget.balance(Decimal(80), 1)
    assert budget.room(5_000, 1) == 80


def test_no_more_goes_out_on_a_price_than_it_was_seen_on() -> None:
    """The first number may be a cheap one; a few go out in any case."""
    budget = priced(99_999)
    assert budget.room(5_000, 1) == 100
    budget.take(100)
    assert (budget.room(5_000, 1), budget.asks(1)) == (0, True)
    budget.balance(Decimal(99_000), 101)
    assert budget.room(5_000, 1) == 101
    budget.take(101)
    budget.balance(Decimal(98_000), 202)
    assert (budget.room(5_000, 1), budget.room(1, 300)) == (202, 1)


def test_a_price_seen_while_requests_are_in_flight() -> None:
    """May be too high, since their charge may be in it: a balance between requests corrects it."""
    budget = Budget(min_credits=Decimal(0))
    budget.balance(Decimal(1_000), 0)
    budget.take(1)
    budget.balance(Decimal(999), 1)
    budget.take(50)
    budget.take(10)
    budget.hear(Decimal(939), 11)  # tells of all 60, and 50 of them are thought to be in flight
    assert budget.room(1_000, 1) < 100
    budget.balance(Decimal(939), 61)
    assert budget.room(50, 1) == 50
    assert not budget.asks(50)
