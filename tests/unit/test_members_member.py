"""The rules of e-mail addresses and passwords."""

import secrets

import pytest

from logboom.errors import ValidationFailed
from logboom.members.member import check_password, mint_password, normalize_email


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        (" a+b@c \n", "a+b@c"),
        ("owner@localhost", "owner@localhost"),
        ("jürgen@müller.example", "jürgen@müller.example"),
    ],
)
def test_email_is_kept_in_lower_case(text, email):
    assert normalize_email(text) == email


@pytest.mark.parametrize(
    "text", ["", "ann", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\0", "a\ud800@b", "a" * 250 + "@b.cc"]
)
def test_email_that_cannot_be_one_is_refused(text):
    with pytest.raises(ValidationFailed) as refused:
        normalize_email(text)
    assert refused.value.message == '"email" must be a valid email'


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("7 chars", '"password" length must be at least 8 characters long'),
        ("x" * 257, '"password" length must be less than or equal to 256 characters long'),
    ],
)
def test_password_outside_the_bounds_is_refused(password, message):
    with pytest.raises(ValidationFailed) as refused:
        check_password(password)
    assert refused.value.message == message


def test_minted_passwords_are_long_readable_and_never_the_same():
    minted = {mint_password(secrets.choice) for _ in range(100)}
    assert len(minted) == 100
    for password in minted:
        check_password(password)
        assert len(password.replace("-", "")) == 25
        assert not set(password) & set("lo01 ")
