-- Renders each line as the JSON object that Mezmo's export speaks (mezmo-api 6.3), one a row.
--
-- The engine writes the text, so a hundred thousand lines cost Python a hundred chunks. Members that were parsed from a
-- JSON line come first. Where it repeats a name, or has one of ours, one stays: its first, or ours.
-- The two steps keep the rendering to the lines that are sent: the inner one reads backwards and stops early, and its
-- order is the result's.
WITH
    -- Mezmo: reserved names of a JSON line get an underscore. mezmo-api 5.7
    arrayMap(member -> (if(member.1 IN ('source', 'type', 'tag', 'auth', 'bytes', 'connect', 'method', 'namespace',
            'path', 'pod', 'request', 'response', 'service', 'space', 'status', 'timestamp', 'user'),
        concat('_', member.1), member.1), member.2),
        if(json_from > 0, JSONExtractKeysAndValuesRaw(substring(line, json_from)), [])) AS renamed,
    arrayMap(member -> member.1, renamed) AS names,
    arrayFilter((member, place) -> indexOf(names, member.1) = place AND member.1 NOT IN ('level', '_original_level',
        '_host', '_app', '_file', '_env', '_tag', '_meta', '_label', '_annotation', '_cut', '_ip', '_ipremote', '_mac',
        '_ingester', '_logtype', '_line', '_mezmo_line_size', '_account', '__key', '_bid', '_ts', '_id', '_retention'),
        renamed, arrayEnumerate(renamed)) AS members,
    arrayStringConcat(arrayMap(member -> concat(toJSONString(member.1), ':', member.2, ','), members)) AS parsed
SELECT /*place*/ concat('{', parsed,
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
