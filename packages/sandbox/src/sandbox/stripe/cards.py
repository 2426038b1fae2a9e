"""Stripe's test cards (https://docs.stripe.com/testing) and what becomes of a charge to them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A test card.

    Attributes:
        number: What the customer types.
        brand: The network.
        token: The PaymentMethod id that stands for it in API calls.
        code: Error code of the refused charge, if it is refused.
        decline_code: The issuer's reason, if the issuer declines.
        disputed: A successful charge is disputed at once.
        authenticates: The cardholder has to confirm each payment with their bank (3-D Secure).
    """

    number: str
    brand: str
    token: str
    code: str | None = None
    decline_code: str | None = None
    disputed: bool = False
    authenticates: bool = False

    @property
    def last4(self) -> str:
        """The last four digits."""
        return self.number[-4:]

    @property
    def declines(self) -> bool:
        """Whether a charge fails."""
        return self.code is not None

    @property
    def behaviour(self) -> str:
        """What it does, in a word or two."""
        if self.authenticates:
            return "asks for confirmation"
        return "declines" if self.declines else "disputed later" if self.disputed else "works"


CARDS = (
    Card("4242424242424242", "visa", "pm_card_visa"),
    Card("5555555555554444", "mastercard", "pm_card_mastercard"),
    Card("378282246310005", "amex", "pm_card_amex"),
    Card(
        "4000000000000002",
        "visa",
        "pm_card_visa_chargeDeclined",
        "card_declined",
        "generic_decline",
    ),
    Card(
        "4000000000009995",
        "visa",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "card_declined",
        "insufficient_funds",
    ),
    Card("4000000000000069", "visa", "pm_card_chargeDeclinedExpiredCard", "expired_card"),
    Card("4000000000000127", "visa", "pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
    Card(
        "4000000000000341",
        "visa",
        "pm_card_chargeCustomerFail",
        "card_declined",
        "generic_decline",
    ),
    Card("4000000000000259", "visa", "pm_card_createDispute", disputed=True),
    Card("4000002500003155", "visa", "pm_card_authenticationRequiredOnSetup", authenticates=True),
    Card("4000002760003184", "visa", "pm_card_authenticationRequired", authenticates=True),
)

BY_NUMBER = {card.number: card for card in CARDS}
BY_TOKEN = {card.token: card for card in CARDS}
