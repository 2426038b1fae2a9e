"""One login for all processes, read by nobody who could not log in himself.

A service counts logins (Salesforce 3,600 an hour and user), so a run takes the one that is there.
It stands in the ledger because runs are spread over machines, sealed by a key that is made of the
credential: who reads the ledger, or a backup of it, learns nothing.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from invoicing.ledger.database import read_row, session
from invoicing.ledger.models import SharedLogin
from invoicing.typed_answers import decode

LIFETIME = timedelta(minutes=10)
"""How long a login is taken up by others: the shortest session of an org ends after 15 minutes.
Source: Salesforce Help, "Modify Session Security Settings"."""


class Login(msgspec.Struct, frozen=True):
    """A session: its token, and the host that it is for."""

    token: str
    host: str


@dataclass(frozen=True)
class Logins:
    """Logins with one credential.

    Attributes:
        subject: Whose login where it is, in a form that may be read by all.
        credential: The secret that opens it.
    """

    subject: str
    credential: bytes

    @property
    def _seal(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(self.credential).digest()))

    def shared(self, ended: str, log_in: Callable[[], tuple[str, str]]) -> Login:
        """The login that all share: the one that is there, else a new one.

        Args:
            ended: The token of a session that has ended, if one has.
            log_in: Logs in; returns token and host.
        """
        row = read_row(SharedLogin, self.subject)
        known = self._opened(row) if row and datetime.now(UTC) - row.opened_at < LIFETIME else None
        if known and known.token != ended:
            return known
        token, host = log_in()
        login = Login(token, host)
        sealed = self._seal.encrypt(msgspec.json.encode(login)).decode()
        with session() as ledger:
            ledger.merge(
                SharedLogin(subject=self.subject, sealed=sealed, opened_at=datetime.now(UTC))
            )
        return login

    def _opened(self, row: SharedLogin) -> Login | None:
        """A login that was sealed by the same credential."""
        try:
            return decode(self._seal.decrypt(row.sealed.encode()), Login)
        except InvalidToken:
            return None
