-- The rows of the line store. The id follows from the batch and the place in it alone, so milling a batch twice gives
-- the same rows.
SELECT
    account_id, fromUnixTimestamp64Milli(ts_ms) AS ts, bitShiftLeft(seq, 21) + position AS line_id,
    fromUnixTimestamp64Milli(received_ms) AS received_at, host, app, level, original_level, env, file, tags, line, meta,
    label, annotation, fields, numbers, logtype, json_from, cut, ip, ip_remote, mac, ingester, line_bytes
FROM level
