"""Bank debits: payments that are under way for days, and then succeed or fail.

A debit leaves its payment intent ``processing`` and its invoice open; the news comes days later.
The test accounts are those of https://docs.stripe.com/payments/sepa-debit/accept-a-payment,
https://docs.stripe.com/payments/ach-direct-debit/accept-a-payment and
https://docs.stripe.com/payments/bacs-debit/accept-a-payment (delayed ones: three minutes). In live
mode every debit takes five days here; the clock, or ``/_sandbox/debits``, decides.
"""

from dataclasses import dataclass

from sandbox.stripe.store import Doc

DAYS = 5
DELAY = 3 * 60

CURRENCIES = {"sepa_debit": "eur", "us_bank_account": "usd", "bacs_debit": "gbp"}
"""Kind of debit to the only currency that it takes."""


@dataclass(frozen=True)
class Debit:
    """A test bank account.

    Attributes:
        kind: The payment method's type.
        token: The PaymentMethod id that stands for it in API calls.
        number: The account's number or IBAN.
        code: Why it fails in the end, if it fails.
        delay: Seconds that it takes in test mode.
        disputed: It is disputed as soon as it has succeeded.
    """

    kind: str
    token: str
    number: str = ""
    code: str | None = None
    delay: int = 0
    disputed: bool = False

    @property
    def currency(self) -> str:
        """The currency it can be debited in."""
        return CURRENCIES[self.kind]

    def seconds(self, *, livemode: bool) -> int:
        """How long a payment is under way."""
        return DAYS * 24 * 3600 if livemode else self.delay

    def method_details(self) -> Doc:
        """What a payment method shows of the account."""
        more: dict[str, Doc] = {
            "sepa_debit": {"generated_from": {"charge": None, "setup_attempt": None}},
            "us_bank_account": {
                "financial_connections_account": None,
                "networks": {"preferred": "ach", "supported": ["ach"]},
                "status_details": {},
            },
        }
        return self._details() | more.get(self.kind, {})

    def charge_details(self) -> Doc:
        """What a charge shows of the account."""
        if self.kind == "us_bank_account":
            return self._details() | {"payment_reference": None}
        return self._details() | {"mandate": None}

    def _details(self) -> Doc:
        last4 = self.number[-4:] or "0000"
        details: dict[str, Doc] = {
            "sepa_debit": {
                "bank_code": "37040044",
                "branch_code": None,
                "country": self.number[:2] or "DE",
                "fingerprint": f"fp{last4}sepa",
                "last4": last4,
            },
            "us_bank_account": {
                "account_holder_type": "individual",
                "account_type": "checking",
                "bank_name": "STRIPE TEST BANK",
                "fingerprint": f"fp{last4}ach",
                "last4": last4,
                "routing_number": "110000000",
            },
            "bacs_debit": {
                "fingerprint": f"fp{last4}bacs",
                "last4": last4,
                "sort_code": "108800",
            },
        }
        return details[self.kind]


DEBITS = (
    Debit("sepa_debit", "pm_success_de", "DE89370400440532013000"),
    Debit("sepa_debit", "pm_successDelayed_de", delay=DELAY),
    Debit("sepa_debit", "pm_failed_de", "DE62370400440532013001", code="generic_could_not_process"),
    Debit("sepa_debit", "pm_failedDelayed_de", code="generic_could_not_process", delay=DELAY),
    Debit("sepa_debit", "pm_insufficientFunds_de", code="insufficient_funds"),
    Debit("sepa_debit", "pm_disputed_de", disputed=True),
    Debit("us_bank_account", "pm_usBankAccount_success", "000123456789"),
    Debit("us_bank_account", "pm_usBankAccount_accountClosed", "000111111113", "account_closed"),
    Debit("us_bank_account", "pm_usBankAccount_noAccount", "000111111116", "no_account"),
    Debit(
        "us_bank_account",
        "pm_usBankAccount_insufficientFunds",
        "000222222227",
        "insufficient_funds",
    ),
    Debit(
        "us_bank_account",
        "pm_usBankAccount_debitNotAuthorized",
        "000333333335",
        "debit_not_authorized",
    ),
    Debit("bacs_debit", "pm_bacsDebit_success", "00012345"),
    Debit("bacs_debit", "pm_bacsDebit_successDelayed", "90012345", delay=DELAY),
    Debit("bacs_debit", "pm_bacsDebit_insufficientFunds", "22222227", "insufficient_funds"),
    Debit(
        "bacs_debit",
        "pm_bacsDebit_insufficientFundsDelayed",
        "92222227",
        "insufficient_funds",
        DELAY,
    ),
    Debit("bacs_debit", "pm_bacsDebit_debitNotAuthorized", "33333335", "debit_not_authorized"),
)

BY_TOKEN = {debit.token: debit for debit in DEBITS}
BY_NUMBER = {debit.number: debit for debit in DEBITS if debit.number}
