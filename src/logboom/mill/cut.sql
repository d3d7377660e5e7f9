-- Limits and names: which host, app and tags a line has, and what is longer than it may be. Long values are cut and
-- the member is named in `cut`; no line is refused for its length.
SELECT
    seq, position, account_id, received_ms, timestamp, ip, ip_remote, mac, ingester, env, label, annotation,
    length(line) AS line_bytes,
    -- A cut at a byte may split a character; what is left of it becomes one replacement character, and goes.
    if(length(line) > {line_bytes_max:UInt64},
        if(isValidUTF8(substring(line, 1, {line_bytes_max:UInt64}) AS line_head), line_head,
            replaceRegexpOne(toValidUTF8(line_head), '\\x{FFFD}$', '')), line) AS line,
    if(length(meta) > {meta_bytes_max:UInt64},
        if(isValidUTF8(substring(meta, 1, {meta_bytes_max:UInt64}) AS meta_head), meta_head,
            replaceRegexpOne(toValidUTF8(meta_head), '\\x{FFFD}$', '')),
        if(meta IN ('{}', 'null'), '', meta)) AS meta,
    substringUTF8(if(host = '', batch_host, host), 1, {host_characters_max:UInt64}) AS host,
    -- Mezmo: a line without app takes the name of its file. mezmo-api 5.4
    multiIf(app != '', app, file != '', basename(file), batch_app) AS long_app,
    substringUTF8(long_app, 1, {app_characters_max:UInt64}) AS app,
    substringUTF8(level, 1, {level_characters_max:UInt64}) AS level,
    file,
    multiIf(tags = '', [], startsWith(tags, '['), JSONExtract(tags, 'Array(String)'), splitByChar(',', tags)) AS line_tags,
    -- Most lines bring no tags of their own; those of the request come within their limits.
    if(empty(line_tags), batch_tags, arraySlice(arrayDistinct(arrayConcat(batch_tags, arrayFilter(tag -> tag != '',
        arrayMap(tag -> substringUTF8(trimBoth(tag), 1, {tag_characters_max:UInt64}), line_tags)))),
        1, {tags_max:UInt64})) AS tags,
    arrayDistinct(arrayConcat(batch_cut, arrayFilter(name -> name != '', [
        if(length(line) > {line_bytes_max:UInt64}, 'line', ''),
        if(length(meta) > {meta_bytes_max:UInt64}, 'meta', ''),
        if(lengthUTF8(host) > {host_characters_max:UInt64}, 'host', ''),
        if(lengthUTF8(long_app) > {app_characters_max:UInt64}, 'app', ''),
        if(lengthUTF8(level) > {level_characters_max:UInt64}, 'level', ''),
        if(length(batch_tags) + length(line_tags) > {tags_max:UInt64}
            OR arrayExists(tag -> lengthUTF8(tag) > {tag_characters_max:UInt64}, line_tags), 'tags', '')]))) AS cut
FROM exploded
