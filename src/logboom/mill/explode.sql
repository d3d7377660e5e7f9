-- Bodies to lines. One pass of the engine's JSON parser takes every known member of every line as text, objects as
-- their JSON, so that no type can fail; the agent's short names (`l`, `t`, `f`) stand in for the long ones.
INSERT INTO mill.exploded
SELECT
    seq, index - 1, account_id, received_ms, hostname, app, tags, cut, ip, ip_remote, mac, ingester,
    if(sent.line = '', sent.l, sent.line),
    if(sent.timestamp = '', sent.t, sent.timestamp),
    sent.app, sent.level, sent.env,
    if(sent.file = '', sent.f, sent.file),
    if(sent.hostname = '', sent.host, sent.hostname),
    sent.meta, sent.label, sent.annotation, sent.tags
FROM
(
    SELECT
        * EXCEPT body,
        JSONExtract(body, 'Array(Tuple(line String, l String, timestamp String, t String, app String,
            level String, env String, file String, f String, hostname String, host String, meta String,
            label String, annotation String, tags String))') AS sent_lines
    FROM file({path:String}, 'RowBinary', 'seq UInt64, account_id String, received_ms Int64, hostname String,
        app String, tags Array(String), cut Array(String), ip String, ip_remote String, mac String, ingester String,
        body String')
)
ARRAY JOIN sent_lines AS sent, arrayEnumerate(sent_lines) AS index
SETTINGS max_threads = 1, min_insert_block_size_rows = 0, min_insert_block_size_bytes = 0
