"""The operator's work on secrets: every step on files and databases as they are, cut off wherever it can be."""

import fcntl
import json
import os
import secrets
import stat
from dataclasses import replace

import pytest
from sqlalchemy import select

from logboom import custody as custody_module
from logboom.accounts.repository import AccountRepository
from logboom.audit.repository import AuditLog
from logboom.custody import open_custody
from logboom.database.engine import open_database, reading
from logboom.database.migrate import migrate
from logboom.database.tables import audit_events, key_values, keyring_state, master_secret_checks
from logboom.errors import (
    MasterSecretMissing,
    MasterSecretOutdated,
    MasterSecretWrong,
    RotationRefused,
    SecretOutdated,
    StartError,
)
from logboom.keys.change import SYSTEM
from logboom.keys.key import KeyKind, NewKey, Reveal
from logboom.keys.keyring import Keyring
from logboom.keys.keys import Keys
from logboom.keys.master_secret import FILE_NAME, open_vault
from logboom.keys.nodes import Nodes
from logboom.keys.repository import KeyRepository
from logboom.keys.secret_text import Purpose, parse_secret, render_secret
from logboom.keys.vault import Vault
from logboom.settings import Settings


class Installation:
    """A data folder, its database, and what a server makes of them."""

    def __init__(self, folder, url, given=""):
        self.settings = Settings(data_dir=folder, database_url=url, master_secret=given)
        self.said: list[str] = []
        self.engine = open_database(url)
        migrate(self.engine)
        self.open_server()
        AuditLog(self.engine, self.vault.audit_keys, custody_module.now_ms).begin()
        accounts = AccountRepository(self.engine, now_ms=custody_module.now_ms, random_hex=secrets.token_hex)
        self.account_id = accounts.create().id

    def open_server(self):
        """As at a start: with a keyring that knows what the database says."""
        folder, given = self.settings.data_dir, self.settings.master_secret
        self.vault = open_vault(self.engine, folder=folder, given=given, random_bytes=secrets.token_bytes)
        self.keyring = Keyring(self.vault)
        repository = KeyRepository(self.engine, self.vault)
        now_ms = custody_module.now_ms
        self.keys = Keys(repository, self.keyring, self.vault, now_ms=now_ms, random_hex=secrets.token_hex)
        return self.keys.load()

    def open(self):
        return open_custody(self.settings, self.said.append)

    def audit(self):
        """What a server that has just started knows of the audit log."""
        self.open_server()
        return AuditLog(self.engine, self.vault.audit_keys, custody_module.now_ms)

    def create(self, reveal=Reveal.ALWAYS):
        new = NewKey(kind=KeyKind.INGESTION, name="key", reveal=reveal)
        return self.keys.create_key(self.account_id, new, actor=SYSTEM)

    def find(self, key):
        found = self.keyring.authenticate(key.value, custody_module.now_ms())
        return getattr(found, "key_id", None)

    @property
    def file(self):
        return self.settings.data_dir / FILE_NAME

    @property
    def secret(self):
        return parse_secret(self.file.read_text())

    def events(self):
        """Action, before and after of everything that no account sees, but the beginning."""
        rows = select(audit_events.c.action, audit_events.c.actor_kind, audit_events.c.before, audit_events.c.after)
        with reading(self.engine) as connection:
            found = connection.execute(rows.where(audit_events.c.account_id.is_(None)).order_by(audit_events.c.seq))
            return [tuple(row) for row in found][1:]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def installation(folder, database_url):
    made = Installation(folder, database_url)
    yield made
    made.engine.dispose()


def rotate(installation, purpose=Purpose.PEPPER):
    with installation.open() as custody:
        return custody.rotate(purpose)


def finish(installation, *, drop_waiting=False):
    with installation.open() as custody:
        return custody.finish(drop_waiting=drop_waiting)


def numbers(installation, purpose=Purpose.PEPPER):
    return [version.number for version in installation.secret.of(purpose)]


MOVED = {Purpose.PEPPER: 3, Purpose.KEK: 1, Purpose.AUDIT: 0}


def test_a_whole_round_of_everything(installation):
    made = [installation.create() for _ in range(3)]
    for purpose in Purpose:
        swept = rotate(installation, purpose)
        assert (swept.version, swept.moved, len(swept.waiting), swept.altered) == (2, MOVED[purpose], 0, 0)
        assert numbers(installation, purpose) == [1, 2]
    finished = finish(installation)
    assert finished.given_up == {"pepper": [1], "kek": [1], "audit": [1]}
    assert [numbers(installation, purpose) for purpose in Purpose] == [[2], [2], [2]]
    assert [version.number for version in installation.secret.audited] == [1]
    assert installation.open_server() == ()
    assert [installation.find(key) for key in made] == [key.id for key in made]
    assert [key.value for key in installation.keys.list_keys(installation.account_id)] == [key.value for key in made]
    assert [(action, kind) for action, kind, *_ in installation.events()] == [
        ("secrets.pepper_rotated", "cli"),
        ("secrets.kek_rotated", "cli"),
        ("secrets.audit_rotated", "cli"),
        ("secrets.finished", "cli"),
    ]
    before, after = (json.loads(text) for text in installation.events()[0][2:])
    assert (before, after) == ({"pepper_version": 1}, {"pepper_version": 2})
    assert installation.audit().verify().ok
    assert [rotate(installation, purpose).version for purpose in Purpose] == [3, 3, 3]
    assert installation.audit().verify().ok


def test_nothing_depends_on_a_master_whose_parts_were_all_rotated(installation):
    made = installation.create()
    for purpose in Purpose:
        rotate(installation, purpose)
    finish(installation)
    thief = Vault(installation.secret.master, random_bytes=secrets.token_bytes)
    with reading(installation.engine) as connection:
        digest = connection.execute(select(key_values.c.digest)).scalar_one()
    assert digest not in thief.digests(made.value)
    assert thief.knows(Purpose.AUDIT, 1)
    with reading(installation.engine) as connection, pytest.raises(SecretOutdated):
        KeyRepository(installation.engine, thief).get(connection, installation.account_id, made.id)


def test_the_records_tell_versions_and_rows_and_no_secret(installation):
    installation.create()
    gone = installation.create()
    installation.create(Reveal.NEVER)
    installation.keys.delete(installation.account_id, gone.id)
    rotate(installation)
    with installation.open() as custody:
        custody.prepare(Purpose.KEK)
        records = custody.list_records()
    shown = [(one.purpose, one.version, one.state, one.rows, one.ended) for one in records]
    assert shown == [
        ("pepper", 1, "retiring", 1, 1),
        ("pepper", 2, "active", 1, 0),
        ("kek", 1, "active", 1, 0),
        ("kek", 2, "prepared", 0, 0),
        ("audit", 1, "active", 0, 0),
    ]
    assert all(one.made for one in records)
    assert all(one.due > one.made for one in records if one.state == "active")
    known = [line.split(":")[2] for line in installation.file.read_text().split()[1:]]
    said = repr(records) + "".join(installation.said) + repr(installation.events())
    assert not [text for text in known if text != "derived" and text in said]


def test_finishing_too_early_is_refused_and_names_who_waits(installation):
    kept, waiting = installation.create(), installation.create(Reveal.NEVER)
    swept = rotate(installation)
    assert [one.key_id for one in swept.waiting] == [waiting.id]
    finished = finish(installation)
    assert (finished.given_up, [one.key_id for one in finished.waiting]) == ({}, [waiting.id])
    assert numbers(installation) == [1, 2]
    installation.open_server()
    assert [installation.find(key) for key in (kept, waiting)] == [kept.id, waiting.id]


def test_what_waits_can_be_given_up(installation):
    kept, waiting, overlapping = (
        installation.create(),
        installation.create(Reveal.NEVER),
        installation.create(Reveal.NEVER),
    )
    rotate(installation)
    installation.open_server()
    newer = installation.keys.rotate(installation.account_id, overlapping.id, actor=SYSTEM)
    finished = finish(installation, drop_waiting=True)
    assert (finished.given_up, finished.waiting) == ({"pepper": [1]}, [])
    assert finished.forgotten == 2
    assert installation.open_server() == ()
    assert [installation.find(key) for key in (kept, waiting, overlapping, newer)] == [kept.id, None, None, newer.id]
    assert [key.id for key in installation.keys.list_keys(installation.account_id)] == [kept.id, overlapping.id]


def test_a_third_version_is_refused(installation):
    installation.create(Reveal.NEVER)
    rotate(installation)
    with installation.open() as custody, pytest.raises(RotationRefused, match="two versions"):
        custody.prepare(Purpose.PEPPER)
    assert rotate(installation).version == 2
    assert numbers(installation) == [1, 2]


def test_preparing_writes_the_secret_and_changes_nothing_else(installation):
    made = installation.create()
    with installation.open() as custody:
        lines = custody.prepare(Purpose.PEPPER)
        assert custody.prepare(Purpose.PEPPER) == lines
    assert lines == installation.file.read_text().split()[1:]
    with reading(installation.engine) as connection:
        assert connection.execute(select(keyring_state.c.pepper_version)).scalar_one() == 1
    installation.open_server()
    assert installation.find(made) == made.id
    assert installation.events() == []
    prepared = installation.secret
    assert rotate(installation).version == 2
    assert installation.secret == prepared


# What is said last before the cut.
STEPS = {"written": "Wrote version", "begun": "Every server uses", "half done": "1 of"}
CUTS = [(purpose, step) for purpose in Purpose for step in STEPS if (purpose, step) != (Purpose.AUDIT, "half done")]


class CutOff(Exception):
    """Stands for kill -9."""


@pytest.mark.parametrize(("purpose", "step"), CUTS)
def test_a_rotation_goes_on_where_it_was_cut_off(installation, purpose, step, monkeypatch):
    monkeypatch.setattr("logboom.keys.rotation.BATCH_KEYS", 1)
    made = [installation.create() for _ in range(3)]

    def cut_off(text):
        installation.said.append(text)
        if text.startswith(STEPS[step]):
            raise CutOff

    with open_custody(installation.settings, cut_off) as custody, pytest.raises(CutOff):
        custody.rotate(purpose)
    installation.open_server()
    assert [installation.find(key) for key in made] == [key.id for key in made]
    assert rotate(installation, purpose).version == 2
    assert finish(installation).given_up == {purpose.value: [1]}
    assert installation.audit().verify().ok
    assert [installation.find(key) for key in made] == [key.id for key in made]


def test_a_finish_that_was_cut_off_before_the_file_is_repeated(installation):
    made = installation.create()
    rotate(installation)
    before = installation.file.read_text()
    finish(installation)
    installation.file.write_text(before)
    assert finish(installation).given_up == {"pepper": [1]}
    installation.open_server()
    assert installation.find(made) == made.id
    assert finish(installation).given_up == {}


def test_the_file_keeps_its_mode_and_owner(installation):
    os.chown(installation.file, 65534, 65534) if os.geteuid() == 0 else None
    before = installation.file.stat()
    rotate(installation)
    after = installation.file.stat()
    assert stat.S_IMODE(after.st_mode) == 0o600
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert [path.name for path in installation.settings.data_dir.iterdir() if "secret" in path.name] == [FILE_NAME]


def test_a_secret_without_a_needed_version_does_not_start(installation):
    installation.create()
    first = installation.file.read_text()
    rotate(installation)
    rotated = installation.secret
    installation.file.write_text(first)
    with pytest.raises(MasterSecretOutdated, match="lacks version 2 of the pepper"):
        installation.open_server()
    installation.file.write_text(
        render_secret(
            replace(rotated, versions={}).with_version(
                Purpose.PEPPER, replace(rotated.of(Purpose.PEPPER)[1], secret=secrets.token_bytes(32))
            )
        )
    )
    with pytest.raises(MasterSecretWrong, match="Version 2 of the pepper"):
        installation.open_server()
    installation.file.unlink()
    with pytest.raises(MasterSecretMissing):
        installation.open_server()
    with pytest.raises(MasterSecretMissing), installation.open():
        pass


def test_a_secret_that_was_rotated_elsewhere_begins_a_new_installation(installation, tmp_path):
    for purpose in Purpose:
        rotate(installation, purpose)
    finish(installation)
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / FILE_NAME).write_text(installation.file.read_text())
    (folder / FILE_NAME).chmod(0o600)
    new = Installation(folder, f"sqlite:///{folder / 'control.db'}")
    made = new.create()
    assert new.open_server() == ()
    assert new.find(made) == made.id
    assert rotate(new).version == 3
    assert new.audit().verify().ok
    new.engine.dispose()


def test_giving_up_by_hand_what_is_needed_does_not_start(installation):
    installation.create(Reveal.NEVER)
    rotate(installation)
    installation.file.write_text(render_secret(installation.secret.without(Purpose.PEPPER, {1})))
    with pytest.raises(MasterSecretOutdated, match="lacks version 1 of the pepper"):
        installation.open_server()


def test_a_variable_is_changed_by_hand(folder, database_url):
    master = secrets.token_hex(32)
    first = Installation(folder, database_url, given=master)
    made = first.create()
    with first.open() as custody, pytest.raises(RotationRefused, match="--prepare"):
        custody.rotate(Purpose.PEPPER)
    with first.open() as custody:
        lines = custody.prepare(Purpose.PEPPER)
    assert not first.file.exists()
    first.settings = replace(first.settings, master_secret=",".join([master, *lines]))
    assert rotate(first).version == 2
    finished = finish(first)
    assert (finished.given_up, finished.is_file) == ({"pepper": [1]}, False)
    first.settings = replace(first.settings, master_secret=f"{master} {lines[1]}")
    first.open_server()
    assert first.find(made) == made.id
    first.engine.dispose()


def test_a_live_server_without_the_new_secret_stops_the_rotation(installation, monkeypatch):
    monkeypatch.setattr("logboom.keys.nodes.WAIT_S", 0.05)
    made = installation.create()
    other = Nodes(installation.engine, node_id="other", name="other:1", now_ms=custody_module.now_ms)
    other.join()
    impatient = open_custody(installation.settings, print, servers_wait_s=0)
    with impatient as custody, pytest.raises(RotationRefused, match="not known to other:1"):
        custody.rotate(Purpose.PEPPER)
    with installation.open() as custody:
        assert [one.rows for one in custody.list_records() if one.purpose == "pepper"] == [1, 0]
    installation.open_server()
    assert installation.find(made) == made.id
    other.leave()
    assert rotate(installation).moved == 1


def test_two_commands_at_once(installation):
    descriptor = os.open(installation.settings.data_dir, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with installation.open() as custody, pytest.raises(RotationRefused, match="Another command"):
        custody.rotate(Purpose.PEPPER)
    os.close(descriptor)


def test_a_mistyped_folder_becomes_no_installation(tmp_path, installation):
    with pytest.raises(StartError, match="no data folder"), open_custody(Settings(data_dir=tmp_path / "typo"), print):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(StartError, match="no database"), open_custody(Settings(data_dir=tmp_path / "empty"), print):
        pass
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_database_of_another_release_is_left_alone(folder, database_url):
    engine = open_database(database_url)
    engine.connect().close()
    engine.dispose()
    settings = Settings(data_dir=folder, database_url=database_url)
    with pytest.raises(StartError, match="not of this release"), open_custody(settings, print):
        pass


def test_check_values_grow_with_each_version(installation):
    with reading(installation.engine) as connection:
        assert (
            connection.execute(select(master_secret_checks.c.check_value)).scalar_one()
            == installation.vault.check_value
        )
    rotate(installation)
    with reading(installation.engine) as connection:
        stored = connection.execute(select(master_secret_checks.c.check_value)).scalar_one()
    assert stored.startswith(installation.vault.check_value)
    assert len(stored) == 32 + 35
