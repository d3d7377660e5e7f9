"""The chain holds whoever writes at the same moment and whoever is killed meanwhile: real processes, both databases."""

import multiprocessing
import os
import random
import signal
import time

import pytest
from audit_house import ACCOUNT_ID, make_event, open_audit_log
from sqlalchemy import text

from logboom.audit.event import Action
from logboom.database.engine import reading, writing

PROCESSES = 8
EVENTS_PER_PROCESS = 25
KILLS = 20
EVENTS_BEFORE_KILL_MAX = 12
PATIENCE_S = 60
IMPORTS = ["pytest", "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite"]
IMPORTS += ["logboom.audit.repository", "logboom.database.migrate", "hypothesis"]

INSERT_ACCOUNT = text("INSERT INTO accounts (id, created_ms) VALUES (:id, 1)")
# One statement, so that a transaction of a killed process cannot end between the two figures.
COUNT_BOTH = text("""
    SELECT (SELECT count(*) FROM accounts) AS changes,
        (SELECT count(*) FROM audit_events WHERE action = 'account.created') AS told
""")


def change(log, account_id):
    """A change of something else, and the event that tells of it."""
    with writing(log._engine) as connection:
        connection.execute(INSERT_ACCOUNT, {"id": account_id})
        log.append(connection, make_event(action=Action.ACCOUNT_CREATED, subject_id=account_id))


def work(url, number, start):
    """One process: open, wait for all others, change."""
    log = open_audit_log(url)
    start.wait(PATIENCE_S)
    for turn in range(EVENTS_PER_PROCESS):
        change(log, f"{number:05}{turn:05}")
    log._engine.dispose()


def work_until_killed(url, number, done):
    log = open_audit_log(url)
    while True:
        change(log, f"{number:05}{done.value:05}")
        done.value += 1


def begin(url, start):
    start.wait(PATIENCE_S)
    open_audit_log(url)._engine.dispose()


@pytest.fixture(scope="module")
def processes():
    """Processes forked from a clean one that has the imports done, since importing takes its time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTS)
    return context


@pytest.fixture
def log(database_url):
    log = open_audit_log(database_url)
    yield log
    log._engine.dispose()


def run_all(processes, target, arguments):
    runners = [processes.Process(target=target, args=each) for each in arguments]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(PATIENCE_S)
    assert [runner.exitcode for runner in runners] == [0] * len(runners)


def counts(log):
    with reading(log._engine) as connection:
        return connection.execute(COUNT_BOTH).one()


def test_processes_that_write_at_once_make_one_chain(log, database_url, processes):
    start = processes.Barrier(PROCESSES)
    run_all(processes, work, [(database_url, number, start) for number in range(PROCESSES)])
    verification = log.verify()
    assert (verification.ok, verification.rows) == (True, 1 + PROCESSES * EVENTS_PER_PROCESS)
    assert counts(log) == (PROCESSES * EVENTS_PER_PROCESS,) * 2
    told = [row.event.subject_id for row in log.export(ACCOUNT_ID)]
    assert sorted(told) == sorted(f"{n:05}{t:05}" for n in range(PROCESSES) for t in range(EVENTS_PER_PROCESS))


def test_processes_that_start_at_once_begin_one_chain(database_url, processes):
    start = processes.Barrier(PROCESSES)
    run_all(processes, begin, [(database_url, start)] * PROCESSES)
    log = open_audit_log(database_url)
    assert (log.verify().ok, log.verify().rows) == (True, 1)
    log._engine.dispose()


def test_a_killed_process_leaves_a_whole_chain(log, database_url, processes):
    chance, acknowledged = random.Random(7), 0  # noqa: S311 -- moments of a test
    for number in range(KILLS):
        done = processes.Value("q", 0, lock=False)  # a lock might die with its holder
        runner = processes.Process(target=work_until_killed, args=(database_url, number, done))
        runner.start()
        kill_at_random(runner, done, chance)
        acknowledged += done.value
        verification, (changes, told) = log.verify(), counts(log)
        assert verification.ok
        assert changes == told >= acknowledged
        log.record(make_event())
    assert log.verify().rows == counts(log).told + KILLS + 1


def kill_at_random(runner, done, chance):
    """Kill after a random number of events, at any moment of the next one."""
    wanted, deadline = chance.randint(1, EVENTS_BEFORE_KILL_MAX), time.monotonic() + PATIENCE_S
    while done.value < wanted:
        assert time.monotonic() < deadline
        assert runner.is_alive()
    moment = time.perf_counter() + chance.uniform(0, 0.005)
    while time.perf_counter() < moment:
        pass
    os.kill(runner.pid, signal.SIGKILL)
    runner.join(PATIENCE_S)
    assert runner.exitcode == -signal.SIGKILL
