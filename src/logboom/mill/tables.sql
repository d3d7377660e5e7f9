-- Where the lines of one round stand between the bodies and the line store. In memory: after a crash the round is
-- repeated from the spool.
CREATE DATABASE IF NOT EXISTS mill ENGINE = Memory;

CREATE TABLE IF NOT EXISTS mill.exploded
(
    seq         UInt64         COMMENT 'Spool sequence number of the batch',
    position    UInt32         COMMENT 'Place of the line in its batch, from 0',
    account_id  LowCardinality(String),
    received_ms Int64,
    batch_host  LowCardinality(String) COMMENT 'Host of the request, for lines that name none',
    batch_app   LowCardinality(String),
    batch_tags  Array(LowCardinality(String)),
    batch_cut   Array(LowCardinality(String)) COMMENT 'What the door has cut of these',
    ip          LowCardinality(String),
    ip_remote   LowCardinality(String),
    mac         LowCardinality(String),
    ingester    LowCardinality(String),
    line        String,
    timestamp   String         COMMENT 'As sent: digits, a decimal or a date as text; empty when absent',
    app         String,
    level       String,
    env         String,
    file        String,
    host        String,
    meta        String         COMMENT 'JSON text, whether sent as an object or as text',
    label       String,
    annotation  String,
    tags        String         COMMENT 'JSON array or comma list'
)
ENGINE = Memory
