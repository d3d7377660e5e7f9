"""The text of the master secret, and that nothing of it is repeated when it cannot be read."""

import base64
import secrets

import pytest

from logboom.keys.secret_text import (
    BadText,
    MasterSecret,
    Purpose,
    Version,
    parse_secret,
    render_line,
    render_secret,
)

MASTER = bytes(range(32))
PEPPER = secrets.token_bytes(32)
ROTATED = MasterSecret(
    master=MASTER,
    versions={
        Purpose.PEPPER: (Version(number=1), Version(number=2, secret=PEPPER, made="2026-11-23")),
        Purpose.KEK: (Version(number=3, secret=secrets.token_bytes(32)),),
        Purpose.AUDIT: (Version(number=3, secret=secrets.token_bytes(32)),),
    },
    audited=(Version(number=1), Version(number=2, secret=secrets.token_bytes(32))),
)


def test_what_was_never_rotated_is_the_master_alone():
    secret = parse_secret(f" {MASTER.hex()}\n")
    assert secret == parse_secret(base64.b64encode(MASTER).decode())
    assert render_secret(secret) == MASTER.hex() + "\n"
    assert [(version.number, version.secret) for version in secret.of(Purpose.PEPPER)] == [(1, None)]


@pytest.mark.parametrize("separator", ["\n", ",", " ", ", ", "\r\n"])
def test_versions_come_back_however_they_are_parted(separator):
    assert parse_secret(separator.join(render_secret(ROTATED).split())) == ROTATED


def test_versions_are_sorted_and_what_is_named_is_all_there_is():
    secret = parse_secret(f"{MASTER.hex()},pepper:12:{PEPPER.hex()},pepper:9:{PEPPER.hex()}")
    assert [version.number for version in secret.of(Purpose.PEPPER)] == [9, 12]
    assert [version.number for version in secret.of(Purpose.KEK)] == [1]
    assert secret.newest(Purpose.PEPPER) == 12


def test_adding_and_giving_up_a_version():
    version = Version(number=2, secret=PEPPER)
    added = parse_secret(MASTER.hex()).with_version(Purpose.PEPPER, version)
    assert render_secret(added).split() == [MASTER.hex(), "pepper:1:derived", render_line("pepper", version)]
    assert added.without(Purpose.PEPPER, {1}).of(Purpose.PEPPER) == (version,)


def test_an_audit_key_that_is_given_up_goes_on_to_prove():
    added = parse_secret(MASTER.hex()).with_version(Purpose.AUDIT, Version(number=2, secret=PEPPER))
    given_up = added.without(Purpose.AUDIT, {1})
    assert [version.number for version in given_up.of(Purpose.AUDIT)] == [2]
    assert given_up.audited == (Version(number=1),)
    assert parse_secret(render_secret(given_up)) == given_up


@pytest.mark.parametrize(
    "line",
    [
        f"pepper:0:{PEPPER.hex()}",
        f"pepper:40000:{PEPPER.hex()}",
        "pepper:2:derived",
        f"pepper:2:{PEPPER.hex()[:-1]}",
        f"pepper:2:{PEPPER.hex()}:yesterday",
        f"salt:2:{PEPPER.hex()}",
        PEPPER.hex(),
        f"pepper:1:derived,pepper:1:{PEPPER.hex()}",
        f"kek:1:derived,kek:2:{PEPPER.hex()},kek:3:{PEPPER.hex()}",
    ],
)
def test_bad_lines_are_refused_and_not_repeated(line):
    with pytest.raises(BadText) as refused:
        parse_secret(f"{MASTER.hex()},{line}")
    assert not any(part in str(refused.value) for part in (MASTER.hex(), PEPPER.hex()[:-1], line))


def test_nothing_of_it_is_printed():
    assert not any(known.hex() in repr(ROTATED) or repr(known) in repr(ROTATED) for known in (MASTER, PEPPER))


BAD_MASTER = "It must begin with 64 hex digits, or base64 of 32 bytes."
BAD_LINE = "Behind the master, it must have lines as pepper:2:64 hex digits, or kek:2:64 hex digits."
SAID = [
    ("", BAD_MASTER),
    (MASTER.hex()[:-1], BAD_MASTER),
    (base64.b64encode(MASTER[:-1]).decode(), BAD_MASTER),
    (base64.b64encode(MASTER).decode() + "*", BAD_MASTER),
    (f"{MASTER.hex()},x", BAD_LINE),
    (f"{MASTER.hex()},salt:2:{PEPPER.hex()}", BAD_LINE),
    (f"{MASTER.hex()},pepper:32768:{PEPPER.hex()}", BAD_LINE),
    (f"{MASTER.hex()},pepper:2:derived", "Only version 1 can be derived from the master."),
    (
        f"{MASTER.hex()},kek:1:derived,kek:1:derived",
        "It has two lines for the same version of the kek key.",
    ),
    (
        f"{MASTER.hex()},pepper:1:derived,pepper:2:{PEPPER.hex()},pepper:3:{PEPPER.hex()}",
        "It has more than 2 versions of the pepper.",
    ),
]


@pytest.mark.parametrize(("text", "message"), SAID)
def test_what_is_wrong_is_said(text, message):
    with pytest.raises(BadText) as refused:
        parse_secret(text)
    assert str(refused.value) == message


def test_the_last_version_is_the_newest():
    secret = parse_secret(f"{MASTER.hex()},pepper:32767:{PEPPER.hex()},pepper:3:{PEPPER.hex()}")
    assert secret.newest(Purpose.PEPPER) == 32_767
    assert secret.newest(Purpose.KEK) == 1
    third = Version(number=32_767, secret=PEPPER)
    assert secret.with_version(Purpose.KEK, third).of(Purpose.KEK) == (Version(number=1), third)
    assert secret.with_version(Purpose.PEPPER, third).of(Purpose.PEPPER)[:2] == secret.of(Purpose.PEPPER)
