"""The first start: an account, its owner, one ingestion key and one service key, told once."""

from collections.abc import Callable
from dataclasses import dataclass, field

from logboom.accounts.repository import AccountRepository
from logboom.errors import FirstStartBroken, SettingsInvalid, ValidationFailed
from logboom.keys.change import FIRST_START
from logboom.keys.formats import check_value
from logboom.keys.key import KeyKind
from logboom.keys.keys import Keys
from logboom.members.member import check_password, mint_password, normalize_email
from logboom.members.repository import MemberRepository
from logboom.settings import Settings

DEFAULT_OWNER_EMAIL = "owner@localhost"


@dataclass(frozen=True, kw_only=True)
class FirstStart:
    """What the operator is told once. Values that were preset are known already and are left out."""

    account_id: str
    email: str
    password: str | None = field(repr=False)
    ingestion_key: str | None = field(repr=False)
    service_key: str | None = field(repr=False)


class Bootstrap:
    """Creates what a fresh server needs."""

    def __init__(
        self,
        *,
        accounts: AccountRepository,
        members: MemberRepository,
        keys: Keys,
        random_text: Callable[[str], str],
    ) -> None:
        self._accounts, self._members, self._keys, self._random_text = accounts, members, keys, random_text

    def run(self, settings: Settings) -> FirstStart | None:
        """Create the first account, unless there is one.

        Raises SettingsInvalid for bad presets, before it begins, and FirstStartBroken when an earlier one was cut off.
        The owner is created last and stands for a first start that was finished.
        """
        if self._accounts.list_accounts():
            if not self._members.has_any():
                raise FirstStartBroken
            return None
        email = settings.bootstrap_owner_email or DEFAULT_OWNER_EMAIL
        password = settings.bootstrap_owner_password or mint_password(self._random_text)
        _check_presets(settings, email, password)
        account_id = self._accounts.create().id
        is_generated = not settings.bootstrap_owner_password
        first = FirstStart(
            account_id=account_id,
            email=email,
            password=password if is_generated else None,
            ingestion_key=self._create_key(account_id, KeyKind.INGESTION, settings.bootstrap_ingestion_key),
            service_key=self._create_key(account_id, KeyKind.SERVICE, settings.bootstrap_service_key),
        )
        self._members.create(account_id, email=email, password=password, must_change_password=is_generated)
        return first

    def _create_key(self, account_id: str, kind: KeyKind, preset: str) -> str | None:
        name = f"first {kind.value} key"
        key = self._keys.create(account_id, kind, name=name, value=preset or None, actor=FIRST_START)
        return None if preset else key.value


def _check_presets(settings: Settings, email: str, password: str) -> None:
    try:
        normalize_email(email)
        check_password(password)
        for preset in filter(None, (settings.bootstrap_ingestion_key, settings.bootstrap_service_key)):
            check_value(preset)
    except ValidationFailed as error:
        raise SettingsInvalid(f"A LOGBOOM_BOOTSTRAP_* setting is invalid: {error.message}.") from error
    if settings.bootstrap_ingestion_key and settings.bootstrap_ingestion_key == settings.bootstrap_service_key:
        raise SettingsInvalid("The first ingestion key and the first service key must differ.")
