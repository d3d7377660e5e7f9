-- Every stored line of every account.
--
-- Order: an account's lines by time, because every question names an account and a time range, and the newest lines
-- are read backwards and stopped early. Partition: by year, so that a batch with many old timestamps makes few parts.
CREATE TABLE IF NOT EXISTS lines
(
    account_id     LowCardinality(String)                COMMENT 'Owner; every statement binds it',
    ts             DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it happened (_ts), by the sender or else on arrival',
    line_id        UInt64 CODEC(Delta, ZSTD(1))          COMMENT 'Spool sequence number << 21 | position in its batch (_id)',
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When its batch arrived',
    host           LowCardinality(String)                COMMENT '_host; empty stands for absent in every text column',
    app            LowCardinality(String)                COMMENT '_app',
    level          LowCardinality(String)                COMMENT 'Severity as sent, in the JSON, or found in the text',
    original_level LowCardinality(String)                COMMENT 'Severity as sent, where the JSON of the line says another',
    env            LowCardinality(String)                COMMENT '_env',
    file           LowCardinality(String)                COMMENT '_file: path or name of the file it was read from',
    tags           Array(LowCardinality(String))         COMMENT '_tag',
    line           String CODEC(ZSTD(1))                 COMMENT 'The text as sent (_line)',
    meta           String CODEC(ZSTD(1))                 COMMENT 'JSON text of the object sent beside the line (_meta)',
    label          String CODEC(ZSTD(1))                 COMMENT 'JSON text of Kubernetes labels (_label)',
    annotation     String CODEC(ZSTD(1))                 COMMENT 'JSON text of Kubernetes annotations (_annotation)',
    fields         Map(LowCardinality(String), String) CODEC(ZSTD(1))  COMMENT 'Text, boolean and array leaves by dotted path',
    numbers        Map(LowCardinality(String), Float64) CODEC(ZSTD(1)) COMMENT 'Numeric leaves by dotted path',
    logtype        LowCardinality(String)                COMMENT '_logtype: the format the fields were parsed from',
    json_from      UInt32 CODEC(T64, ZSTD(1))            COMMENT 'Where the JSON of the line begins, from 1; 0: it has none',
    cut            Array(LowCardinality(String))         COMMENT '_cut: members that were longer than their limit',
    ip             LowCardinality(String)                COMMENT '_ip: address the sender states',
    ip_remote      LowCardinality(String)                COMMENT '_ipremote: address the request came from',
    mac            LowCardinality(String)                COMMENT '_mac',
    ingester       LowCardinality(String)                COMMENT '_ingester: the sender''s program',
    line_bytes     UInt32 CODEC(T64, ZSTD(1))            COMMENT '_mezmo_line_size: bytes of the line as sent',

    -- A search term is a piece of text anywhere in the line (tokens are matched by prefix), so the index is over pieces
    -- of text too: 4-grams in a Bloom filter skip the granules that cannot hold a rare term. A term is looked for in line
    -- or meta, and only one index over both can tell that neither has it. It is built by merges,
    -- not on insert, where it would double the cost (ADR 0002).
    INDEX line_ngrams (lower(line), lower(meta)) TYPE ngrambf_v1(4, 32768, 2, 7) GRANULARITY 1,
    -- One line by its id, and the ids of one spool range after a crash.
    INDEX line_id_range line_id TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYear(ts)
ORDER BY (account_id, ts, line_id)
SETTINGS
    fsync_after_insert = 1, fsync_part_directory = 1, -- the spool forgets a line once it is here
    min_compressed_bytes_to_fsync_after_merge = 1, -- and a merge deletes what it was made of
    map_serialization_version = 'with_buckets', max_buckets_in_map = 16, map_buckets_strategy = 'constant',
    map_buckets_min_avg_size = 0 -- a query on one field reads a sixteenth of the map
