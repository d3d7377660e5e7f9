-- Where the sequence numbers of this spool come from. `spool_id` tells two spools apart, so that a spool begun anew
-- on an old line store can never repeat the idempotency token of its predecessor.
CREATE TABLE IF NOT EXISTS spool (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    spool_id TEXT    NOT NULL,   -- random, for ever
    next_seq INTEGER NOT NULL    -- the sequence number of the next batch
) STRICT;

-- Acknowledged batches that the line store does not hold yet.
CREATE TABLE IF NOT EXISTS batch (
    seq         INTEGER PRIMARY KEY,  -- order of arrival; never used twice
    envelope    BLOB    NOT NULL,     -- JSON of spool.Envelope
    body        BLOB    NOT NULL,     -- the batch as the door accepted it, decompressed
    lines_count INTEGER NOT NULL      -- lines in the body, counted at the door
) STRICT;

-- The range that is being put into the line store. It is written before the insert starts, so that after a crash
-- the same range is repeated under the same token and the store can tell what it has.
CREATE TABLE IF NOT EXISTS milling (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL
) STRICT;

-- Batches that could not be turned into lines, kept for the operator.
CREATE TABLE IF NOT EXISTS poison (
    seq         INTEGER PRIMARY KEY,
    envelope    BLOB    NOT NULL,
    body        BLOB    NOT NULL,
    reason      TEXT    NOT NULL,
    set_aside_ms INTEGER NOT NULL
) STRICT;
