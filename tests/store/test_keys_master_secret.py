"""The master secret: made once, never readable by others, never replaced, and a wrong one refuses to start."""

import base64
import os
import secrets
import stat

import pytest

from logboom.database.engine import open_database
from logboom.database.migrate import migrate
from logboom.errors import MasterSecretExposed, MasterSecretMissing, MasterSecretWrong, SettingsInvalid
from logboom.keys.master_secret import FILE_NAME, open_vault

SECRET = bytes(range(32))


@pytest.fixture
def engine(database_url):
    engine = open_database(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


def open_in(folder, engine, given=""):
    return open_vault(engine, folder=folder, given=given, random_bytes=secrets.token_bytes)


def test_first_start_makes_a_file_for_its_owner_only(tmp_path, engine):
    made = open_in(tmp_path, engine)
    file = tmp_path / FILE_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(bytes.fromhex(file.read_text())) == 32
    assert open_in(tmp_path, engine).check_value == made.check_value
    assert [path.name for path in tmp_path.iterdir() if "secret" in path.name] == [FILE_NAME]


def test_file_is_closed_to_others_under_any_umask(tmp_path, engine):
    before = os.umask(0)
    try:
        open_in(tmp_path, engine)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "given", [SECRET.hex(), SECRET.hex().upper(), base64.b64encode(SECRET).decode(), f" {SECRET.hex()}\n"]
)
def test_given_secret_is_used_and_no_file_made(tmp_path, engine, given):
    assert open_in(tmp_path, engine, given).check_value == open_in(tmp_path, engine, SECRET.hex()).check_value
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    "given", ["nonsense", SECRET.hex()[:-1], SECRET.hex() + "00", base64.b64encode(b"short").decode(), "ä"]
)
def test_given_secret_that_cannot_be_read_is_refused(tmp_path, engine, given):
    with pytest.raises(SettingsInvalid) as refused:
        open_in(tmp_path, engine, given)
    assert given not in refused.value.message


def test_another_secret_refuses_to_start(tmp_path, engine):
    open_in(tmp_path, engine)
    with pytest.raises(MasterSecretWrong):
        open_in(tmp_path, engine, SECRET.hex())
    (tmp_path / FILE_NAME).write_text(SECRET.hex())
    with pytest.raises(MasterSecretWrong):
        open_in(tmp_path, engine)


@pytest.mark.parametrize("content", ["", "00" * 31, "\n"], ids=["empty", "cut", "blank"])
def test_damaged_file_refuses_to_start_and_is_left_alone(tmp_path, engine, content):
    open_in(tmp_path, engine)
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(MasterSecretWrong):
        open_in(tmp_path, engine)
    assert (tmp_path / FILE_NAME).read_text() == content


def test_lost_secret_refuses_to_start_and_makes_no_new_one(tmp_path, engine):
    open_in(tmp_path, engine)
    (tmp_path / FILE_NAME).unlink()
    with pytest.raises(MasterSecretMissing):
        open_in(tmp_path, engine)
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_file_open_to_others_refuses_to_start(tmp_path, engine, mode):
    open_in(tmp_path, engine)
    (tmp_path / FILE_NAME).chmod(mode)
    with pytest.raises(MasterSecretExposed):
        open_in(tmp_path, engine)
