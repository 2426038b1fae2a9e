"""The ledger's password is changed as the page says, while nothing stands still."""

import re
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from invoicing.ledger import database
from tests.invoicing.conftest import create_database
from tests.tiers import POSTGRESQL

PAGE = Path(__file__).parents[3] / "docs/running.md"


@pytest.mark.parametrize("kind", [POSTGRESQL])
def test_a_second_user_acts_as_the_first(postgres: str, kind: str) -> None:
    """Both log in for a while; then one, and the next migration finds all tables its own."""
    page = PAGE.read_text(encoding="utf-8")
    [recipe] = re.findall(r"```sql\n(CREATE ROLE.*?)```", page, re.DOTALL)
    [last] = re.findall(r"`(ALTER ROLE invoicing NOLOGIN)`", page)
    name = create_database(postgres, f"rotated_{kind}", "template0")

    def url(user: str) -> str:
        there = make_url(postgres).set(username=user, database=name)
        return there.render_as_string(hide_password=False)

    with psycopg.connect(postgres, autocommit=True) as administrator:
        administrator.execute("CREATE ROLE invoicing LOGIN")
        administrator.execute(f"ALTER DATABASE {name} OWNER TO invoicing".encode())
        database.migrate(url("invoicing"))
        administrator.execute(recipe.encode())
        for user in ("invoicing", "invoicing_2"):
            psycopg.connect(url(user)).close()
        administrator.execute(last.encode())
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(url("invoicing"))
    database.migrate(url("invoicing_2"))
    with psycopg.connect(url("invoicing_2"), autocommit=True) as connection:
        connection.execute("ALTER TABLE lease ADD COLUMN next_release integer")
        connection.execute("CREATE TABLE next_release (id integer)")
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert owners == [("invoicing",)]
