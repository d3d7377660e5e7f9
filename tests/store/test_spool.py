"""The durable queue: what was acknowledged is there after a reopening, in order, numbered once for ever."""

import asyncio
import sqlite3
import time

import pytest

from logboom.errors import Unavailable
from logboom.spool import Disk, Envelope, Spool

FIRST_SEQ = 1000


def envelope(lines_count=1):
    return Envelope(account_id="a", key_id="k", received_ms=5, lines_count=lines_count, tags=("ü", "b"))


@pytest.fixture
def open_spool(tmp_path):
    """Opens the same spool again and again."""

    def open_it(bytes_max=10_000_000, free_bytes_min=0):
        disk = Disk(tmp_path, free_bytes_min=free_bytes_min, now_s=time.monotonic)
        return Spool(tmp_path / "spool.db", disk=disk, bytes_max=bytes_max, first_seq=FIRST_SEQ)

    return open_it


def append(spool, *bodies):
    async def all_at_once():
        return await asyncio.gather(*(spool.append(envelope(), body) for body in bodies))

    return asyncio.run(all_at_once())


def test_batches_survive_a_reopening_as_they_were(open_spool):
    with open_spool() as spool:
        assert append(spool, b"one", b"two") == [FIRST_SEQ, FIRST_SEQ + 1]
    with open_spool() as spool:
        assert [batch.body for batch in spool.read(0, 10**9)] == [b"one", b"two"]
        assert spool.read(FIRST_SEQ, FIRST_SEQ)[0].envelope == envelope()
        assert (spool.batches, spool.lines, spool.bytes) == (2, 2, 6)


def mill(spool, first_seq, last_seq):
    spool.begin_milling(last_seq)
    spool.end_milling(first_seq, last_seq, spool.read(first_seq, last_seq))


def test_numbers_are_never_used_twice_even_when_everything_was_milled(open_spool):
    with open_spool() as spool:
        append(spool, b"one", b"two")
        mill(spool, FIRST_SEQ, FIRST_SEQ + 1)
        assert (spool.batches, spool.bytes, spool.waiting(10)) == (0, 0, [])
    with open_spool() as spool:
        assert append(spool, b"three") == [FIRST_SEQ + 2]


def test_a_round_that_was_not_ended_leaves_doubt_until_all_of_it_was_repeated(open_spool):
    with open_spool() as spool:
        append(spool, b"one", b"two", b"three")
        assert spool.doubtful_seq() == 0
        spool.begin_milling(FIRST_SEQ + 1)
    with open_spool() as spool:
        assert spool.doubtful_seq() == FIRST_SEQ + 1
        mill(spool, FIRST_SEQ, FIRST_SEQ)
        assert spool.doubtful_seq() == FIRST_SEQ + 1
        mill(spool, FIRST_SEQ + 1, FIRST_SEQ + 1)
        assert spool.doubtful_seq() == 0
        assert [seq for seq, _, _ in spool.waiting(10)] == [FIRST_SEQ + 2]


def test_a_full_spool_asks_senders_to_wait(open_spool):
    with open_spool(bytes_max=5) as spool:
        append(spool, b"1234")
        with pytest.raises(Unavailable):
            append(spool, b"56")
        append(spool, b"5")


def test_a_disk_below_its_floor_asks_senders_to_wait(open_spool):
    with open_spool(free_bytes_min=10**18) as spool, pytest.raises(Unavailable):
        append(spool, b"one")


def test_a_batch_set_aside_blocks_nothing_and_is_kept(open_spool, tmp_path):
    with open_spool() as spool:
        append(spool, b"bad", b"good")
        spool.set_aside(spool.read(FIRST_SEQ, FIRST_SEQ)[0], "why", 7)
        assert [batch.body for batch in spool.read(0, 10**9)] == [b"good"]
    with sqlite3.connect(tmp_path / "spool.db") as connection:
        assert connection.execute("SELECT body, reason FROM poison").fetchall() == [(b"bad", "why")]
    connection.close()


def test_a_failed_disk_is_our_trouble_and_counts_nothing(open_spool):
    with open_spool() as spool:
        spool._writer.execute("PRAGMA max_page_count = 1")
        with pytest.raises(Unavailable):
            append(spool, b"x" * 1_000_000)
        assert (spool.batches, spool.bytes, spool.lines) == (0, 0, 0)


def test_an_emptied_spool_gives_its_space_back(open_spool, tmp_path):
    with open_spool(bytes_max=10**9) as spool:
        append(spool, *[b"x" * 1_000_000] * 60)
        last = FIRST_SEQ + 59
        mill(spool, FIRST_SEQ, last)
        spool.shrink()
        assert sum(path.stat().st_size for path in tmp_path.glob("spool.db*")) < 5_000_000
