"""What an invoice asks its customer for: its total, and what was left from before."""

from dataclasses import dataclass

from invoicing.domain.model.money import Money, largest_charge, smallest_charge


@dataclass(frozen=True, slots=True)
class AmountDue:
    """What an invoice asks for, or would if it were finalized now.

    Attributes:
        total: Taxes and discounts included.
        balance: What the customer owes from before; below zero, it is the customer's credit.
        due: What is asked for.
        finalized: Whether it is final; before that, a balance that moves changes it.
        carried: What Stripe does not collect, and puts onto the customer's next invoice.
        agreed: What was said before that it would be, to whoever wanted it sent.
        agreed_total: What its total was when it was last looked at before it became final.
        other_content: How what became final differs from what was looked at, but for its sums.
    """

    total: Money
    balance: Money
    due: Money
    finalized: bool = False
    carried: Money | None = None
    agreed: Money | None = None
    agreed_total: Money | None = None
    other_content: str = ""

    @classmethod
    def expected(cls, total: Money, balance: Money, *, agreed: Money | None = None) -> "AmountDue":
        """What an invoice of a total will ask for, by the balance of now."""
        due = max(total + balance, Money(total.currency, 0))
        return cls(total, balance, due, agreed=agreed)

    @property
    def larger(self) -> Money:
        """What an approval limit is held to: credit does not make a large invoice small."""
        return max(self.total, self.due)

    @property
    def is_more_than_agreed(self) -> bool:
        """Whether the customer would be asked for more than was said."""
        return self.agreed is not None and self.due > self.agreed

    @property
    def has_another_total(self) -> bool:
        """Whether it became final over another total than was looked at, be it a lower one."""
        return self.finalized and self.agreed_total not in (None, self.total)

    @property
    def was_changed(self) -> bool:
        """Whether it became final otherwise than it was looked at: somebody changed it."""
        return self.has_another_total or bool(self.other_content)

    @property
    def is_not_as_agreed(self) -> bool:
        """Whether a person has to see it again before it goes out."""
        return self.is_more_than_agreed or self.was_changed

    @property
    def note(self) -> str:
        """How it differs from the total, in a sentence with a space before it, or nothing."""
        if self.carried:
            return (
                f" Stripe collects nothing of it: it counts as paid, and {self.carried} "
                "goes onto the customer's next invoice."
            )
        if self.balance.minor > 0:
            return f" {self.due} is due, with {self.balance} owed from before."
        if self.balance.minor < 0 and self.due.minor:
            return f" {self.due} is due, after {self.total - self.due} of the customer's credit."
        if self.balance.minor < 0:
            return f" Nothing is due: {self.total} of the customer's credit covers it."
        return ""


def due_rows(asked: AmountDue) -> list[tuple[str, str]]:
    """Rows of a table: the total, the balance where there is one, and what is due."""
    rows = [("Total", str(asked.total))]
    if asked.balance.minor > 0:
        rows.append(("Owed from before", str(asked.balance)))
    elif asked.balance.minor:
        rows.append(("Credit", str(asked.due - asked.total)))
    return [*rows, ("**Amount due**", f"**{asked.due}**")]


def collection_problems(due: Money, *, small_amount_is_meant: bool) -> list[str]:
    """Say why Stripe would not collect what is due; empty when it would.

    It marks such an invoice as paid at once, and puts the amount onto the customer's balance:
    https://docs.stripe.com/billing/customer/balance

    Args:
        due: What is asked for.
        small_amount_is_meant: Whether too little may go onto the next invoice.
    """
    least, most = smallest_charge(due.currency), largest_charge(due.currency)
    if 0 < due.minor < least.minor and not small_amount_is_meant:
        return [
            f"{due} is due, and Stripe collects nothing below {least}: the invoice would count as "
            f"paid, and {due} would go onto the customer's next invoice. If that is meant, press "
            "Preview Total, then Send To Customer, and tick Small amount is meant; or tick that in "
            "the form of send-invoice in Prefect."
        ]
    if due > most:
        return [f"{due} is due, and Stripe collects {most} at the most. Bill it in several parts."]
    return []
