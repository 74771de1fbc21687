"""What a piece of work may cost, and under which names its calls are written down. Carried by the context, not by hand.

Whoever calls a service asks `admitted` before every try; whoever sets a budget enters `spending`. Nothing is asked of
a service here.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from workflows.errors import BudgetSpent


@dataclass(kw_only=True)
class Budget:
    """The most that calls to paid services may come to, in US dollars and in number; None: no bound.

    A call is reserved before it is made, so that calls at the same time cannot pass the bound together.
    """

    max_cost: float | None = None
    max_calls: int | None = None
    cost: float = field(default=0.0)
    """Spent and reserved."""
    calls: int = field(default=0)

    def reserve(self, what: str, price: float | None) -> float:
        """Take one call of that expected price off the budget; the answer is what was reserved.

        Raises BudgetSpent when it would pass a bound, or when money is bounded and the price is not known.
        """
        if self.max_calls is not None and self.calls + 1 > self.max_calls:
            raise BudgetSpent(f"{what} would be call {self.calls + 1}, and at most {self.max_calls} may be made.")
        if self.max_cost is not None and price is None:
            raise BudgetSpent(
                f"Nobody knows what {what} costs, and at most ${self.max_cost:g} may be spent: name its price in the "
                "file of ATELIER_PRICES."
            )
        expected = price or 0.0
        if self.max_cost is not None and self.cost + expected > self.max_cost + 1e-9:
            left = max(0.0, self.max_cost - self.cost)
            raise BudgetSpent(f"{what} costs about ${expected:.4g}, and ${left:.4g} of ${self.max_cost:g} are left.")
        self.calls += 1
        self.cost += expected
        return expected

    def settle(self, reserved: float, cost: float | None) -> None:
        """What the reserved call really cost, where that is known; 0 for one that cost nothing."""
        if cost is not None:
            self.cost += cost - reserved


@dataclass(frozen=True, kw_only=True)
class Account:
    """Under which names calls are written down, and from which budget they are paid."""

    run_id: str = ""
    brief_id: str = ""
    job_id: str = ""
    budget: Budget | None = None


_account: ContextVar[Account] = ContextVar("atelier_account", default=Account())  # noqa: B039 - it is frozen


def account() -> Account:
    """The account of whatever is being done here."""
    return _account.get()


@contextmanager
def spending(on: Account) -> Generator[None]:
    """Let every call made within, and by tasks started within, be on this account."""
    token = _account.set(on)
    try:
        yield
    finally:
        _account.reset(token)
