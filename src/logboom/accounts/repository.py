"""Keeps accounts in the control plane's database."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, Row, insert, select

from logboom.accounts.account import ACCOUNT_ID_BYTES, Account
from logboom.database.engine import reading, writing
from logboom.database.tables import accounts
from logboom.errors import NotFound


def _tell_nobody(_connection: Connection, _account: Account) -> None:
    """What stands where nobody wants to know of new accounts."""


class AccountRepository:
    """*random_hex* is `secrets.token_hex` or its like: bytes in, twice as many hex digits out.

    *on_created* is told of each new account within its transaction.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        now_ms: Callable[[], int],
        random_hex: Callable[[int], str],
        on_created: Callable[[Connection, Account], None] = _tell_nobody,
    ) -> None:
        self._engine, self._on_created = engine, on_created
        self._now_ms = now_ms
        self._random_hex = random_hex

    def create(self) -> Account:
        account = Account(id=self._random_hex(ACCOUNT_ID_BYTES), created_ms=self._now_ms())
        with writing(self._engine) as connection:
            connection.execute(insert(accounts).values(id=account.id, created_ms=account.created_ms))
            self._on_created(connection, account)
        return account

    def get(self, account_id: str) -> Account:
        """Raises NotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(select(accounts).where(accounts.c.id == account_id)).one_or_none()
        if row is None:
            raise NotFound
        return _account(row)

    def list_accounts(self) -> list[Account]:
        """All accounts, oldest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(accounts).order_by(accounts.c.created_ms, accounts.c.id)).all()
        return [_account(row) for row in rows]

    def find_only(self) -> Account | None:
        """The account, when there is exactly one."""
        every = self.list_accounts()
        return every[0] if len(every) == 1 else None


def _account(row: Row[tuple[str, int]]) -> Account:
    return Account(id=row.id, created_ms=row.created_ms)
