"""Keeps members, and verifies their passwords."""

from collections.abc import Callable
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Engine, Row, insert, select
from sqlalchemy.exc import IntegrityError

from logboom.database.engine import reading, writing
from logboom.database.tables import members
from logboom.errors import Detail, ValidationFailed
from logboom.members.member import (
    MEMBER_ID_BYTES,
    PASSWORD_CHARACTERS_MAX,
    Member,
    Role,
    check_password,
    normalize_email,
)


def _tell_nobody(_connection: Connection, _member: Member) -> None:
    """What stands where nobody wants to know of new members."""


class MemberRepository:
    """*hasher* sets argon2id's cost; its default suits a server, a test takes a cheap one.

    *on_created* is told of each new member within its transaction.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        hasher: PasswordHasher,
        now_ms: Callable[[], int],
        random_hex: Callable[[int], str],
        on_created: Callable[[Connection, Member], None] = _tell_nobody,
    ) -> None:
        self._engine, self._on_created = engine, on_created
        self._hasher = hasher
        self._now_ms = now_ms
        self._random_hex = random_hex

    def create(self, account_id: str, *, email: str, password: str, must_change_password: bool) -> Member:
        """Add an owner. Raises ValidationFailed, also when the address is taken."""
        check_password(password)
        member = Member(
            id=self._random_hex(MEMBER_ID_BYTES),
            account_id=account_id,
            email=normalize_email(email),
            role=Role.OWNER,
            must_change_password=must_change_password,
            created_ms=self._now_ms(),
        )
        self._insert(member, password_digest=self._hasher.hash(password))
        return member

    def has_any(self) -> bool:
        """Whether any account has a member."""
        with reading(self._engine) as connection:
            return connection.execute(select(members.c.id).limit(1)).first() is not None

    def verify_password(self, *, email: str, password: str) -> Member | None:
        """The member who signs in with these, or None.

        An unknown address costs as much time as a wrong password, so that addresses cannot be found out.
        """
        if len(password) > PASSWORD_CHARACTERS_MAX:
            return None
        row = self._find_row(email)
        if row is None:
            self._hasher.hash(password)
            return None
        return _member(row) if self._matches(row.password_digest, password) else None

    def _insert(self, member: Member, *, password_digest: str) -> None:
        values = {
            "id": member.id,
            "account_id": member.account_id,
            "email": member.email,
            "role": member.role.value,
            "password_digest": password_digest,
            "must_change_password": member.must_change_password,
            "created_ms": member.created_ms,
        }
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(members).values(values))
                self._on_created(connection, member)
        except IntegrityError as cause:
            raise ValidationFailed(Detail(message='"email" is in use already', key="email")) from cause

    def _find_row(self, email: str) -> Row[Any] | None:
        try:
            normal = normalize_email(email)
        except ValidationFailed:
            return None
        with reading(self._engine) as connection:
            return connection.execute(select(members).where(members.c.email == normal)).one_or_none()

    def _matches(self, digest: str, password: str) -> bool:
        try:
            return self._hasher.verify(digest, password)
        except (VerificationError, InvalidHashError):
            return False


def _member(row: Row[Any]) -> Member:
    return Member(
        id=row.id,
        account_id=row.account_id,
        email=row.email,
        role=Role(row.role),
        must_change_password=row.must_change_password,
        created_ms=row.created_ms,
    )
