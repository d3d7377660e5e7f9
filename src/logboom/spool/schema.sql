-- Where the sequence numbers of this spool come from. A new spool begins at the milliseconds since 1970, so that one
-- begun anew on an old line store does not repeat the numbers of its predecessor.
CREATE TABLE IF NOT EXISTS spool (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    next_seq INTEGER NOT NULL    -- the sequence number of the next batch
) STRICT;

-- Acknowledged batches that the line store does not hold yet.
CREATE TABLE IF NOT EXISTS batch (
    seq         INTEGER PRIMARY KEY,  -- order of arrival; never used twice
    envelope    BLOB    NOT NULL,     -- JSON of spool.Envelope
    body        BLOB    NOT NULL,     -- the batch as the door accepted it, decompressed
    lines_count INTEGER NOT NULL      -- lines in the body, counted at the door
) STRICT;

-- Up to which batch the line store may hold lines already, while the batches are still here. It is written before an
-- insert starts, so that after a crash their lines are looked for before they are stored.
CREATE TABLE IF NOT EXISTS doubtful (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL
) STRICT;

-- Batches that could not be turned into lines, kept for the operator.
CREATE TABLE IF NOT EXISTS poison (
    seq         INTEGER PRIMARY KEY,
    envelope    BLOB    NOT NULL,
    body        BLOB    NOT NULL,
    reason      TEXT    NOT NULL,
    set_aside_ms INTEGER NOT NULL
) STRICT;

-- How far a stream within the server has become batches. Written in the transaction that keeps the batch, so that each of
-- its items becomes a line once, whenever the server is cut off.
CREATE TABLE IF NOT EXISTS source (
    name     TEXT    PRIMARY KEY,  -- the stream, as audit:ACCOUNT
    position INTEGER NOT NULL      -- the number of the last item that is in a batch
) STRICT;
