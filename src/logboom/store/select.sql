-- Renders each line as the JSON object that Mezmo's export speaks (mezmo-api 6.3), one a row.
--
-- The engine writes the text, so a hundred thousand lines cost Python a hundred chunks. Members that were parsed from a
-- JSON line come first and ours last: where a sender's JSON repeats one of our names, every JSON reader takes ours.
-- The two steps keep the rendering to the lines that are sent: the inner one reads backwards and stops early.
WITH
    if(logtype = 'json',
        arrayFilter(member -> member.1 NOT IN ('_account', '_retention', 'level'),
            JSONExtractKeysAndValuesRaw(substring(line, position(line, '{')))), []) AS members,
    arrayStringConcat(arrayMap(member -> concat(
        -- Mezmo: reserved names of a JSON line get an underscore. mezmo-api 5.7
        toJSONString(if(member.1 IN ('source', 'type', 'tag', 'auth', 'bytes', 'connect', 'method', 'namespace', 'path',
            'pod', 'request', 'response', 'service', 'space', 'status', 'timestamp', 'user'),
            concat('_', member.1), member.1)), ':', member.2, ','), members)) AS parsed
SELECT concat('{', parsed,
    if(level = '', '', concat('"level":', toJSONString(level), ',')),
    if(original_level = '', '', concat('"_original_level":', toJSONString(original_level), ',')),
    if(host = '', '', concat('"_host":', toJSONString(host), ',')),
    if(app = '', '', concat('"_app":', toJSONString(app), ',')),
    if(file = '', '', concat('"_file":', toJSONString(file), ',')),
    if(env = '', '', concat('"_env":', toJSONString(env), ',')),
    if(empty(tags), '', concat('"_tag":', toJSONString(tags), ',')),
    if(meta = '', '', concat('"_meta":', if(isValidJSON(meta), JSONExtractRaw(meta), toJSONString(meta)), ',')),
    if(label = '', '', concat('"_label":', if(isValidJSON(label), JSONExtractRaw(label), toJSONString(label)), ',')),
    if(annotation = '', '', concat('"_annotation":',
        if(isValidJSON(annotation), JSONExtractRaw(annotation), toJSONString(annotation)), ',')),
    if(empty(cut), '', concat('"_cut":', toJSONString(cut), ',')),
    if(ip = '', '', concat('"_ip":', toJSONString(ip), ',')),
    if(ip_remote = '', '', concat('"_ipremote":', toJSONString(ip_remote), ',')),
    if(mac = '', '', concat('"_mac":', toJSONString(mac), ',')),
    if(ingester = '', '', concat('"_ingester":', toJSONString(ingester), ',')),
    '"_logtype":', toJSONString(if(logtype = '', 'text', logtype)),
    ',"_line":', toJSONString(line),
    ',"_mezmo_line_size":', toString(line_bytes),
    ',"_account":', toJSONString(account_id),
    ',"__key":', toJSONString(concat('logline:', account_id, ':', app, ':', host, ':logboom')),
    ',"_bid":"', toString(bitShiftRight(line_id, 21)), ':0:logboom"',
    ',"_ts":', toString(toUnixTimestamp64Milli(ts)),
    ',"_id":"', toString(line_id), '"}') AS json
FROM
(
    SELECT * FROM lines
    WHERE /*where*/
    ORDER BY account_id /*order*/, ts /*order*/, line_id /*order*/
    LIMIT {lines_max:UInt64}
)
ORDER BY ts /*order*/, line_id /*order*/
