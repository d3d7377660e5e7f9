-- Limits and names: which host, app and tags a line has, and what is longer than it may be. Long values are cut and
-- the member is named in `cut`; no line is refused for its length.
WITH
    -- A cut at a byte may split a character; what is left of it becomes one replacement character, and goes.
    (text, bytes_max) -> multiIf(
        length(text) <= bytes_max, text,
        isValidUTF8(substring(text, 1, bytes_max)), substring(text, 1, bytes_max),
        replaceRegexpOne(toValidUTF8(substring(text, 1, bytes_max)), '\\x{FFFD}$', '')) AS head,
    text -> if(text IN ('{}', 'null'), '', text) AS filled
SELECT
    seq, position, account_id, received_ms, timestamp, ip, ip_remote, mac, ingester,
    length(line) AS line_bytes,
    head(line, {line_bytes_max:UInt64}) AS line,
    head(filled(meta), {meta_bytes_max:UInt64}) AS meta,
    head(filled(label), {meta_bytes_max:UInt64}) AS label,
    head(filled(annotation), {meta_bytes_max:UInt64}) AS annotation,
    substringUTF8(if(host = '', batch_host, host), 1, {host_characters_max:UInt64}) AS host,
    -- Mezmo: a line without app takes the name of its file. mezmo-api 5.4
    multiIf(app != '', app, file != '', basename(file), batch_app) AS long_app,
    substringUTF8(long_app, 1, {app_characters_max:UInt64}) AS app,
    substringUTF8(level, 1, {level_characters_max:UInt64}) AS level,
    substringUTF8(env, 1, {level_characters_max:UInt64}) AS env,
    substringUTF8(file, 1, {file_characters_max:UInt64}) AS file,
    multiIf(tags = '', [], startsWith(tags, '[') AND isValidJSON(tags), JSONExtract(tags, 'Array(String)'),
        splitByChar(',', tags)) AS line_tags,
    -- Most lines bring no tags of their own; those of the request come within their limits.
    if(empty(line_tags), batch_tags, arraySlice(arrayDistinct(arrayConcat(batch_tags, arrayFilter(tag -> tag != '',
        arrayMap(tag -> substringUTF8(trimBoth(tag), 1, {tag_characters_max:UInt64}), line_tags)))),
        1, {tags_max:UInt64})) AS tags,
    -- What the request was cut of concerns the lines that take it from there.
    arrayFilter(name -> not (name = 'host' AND host != '' OR name = 'app' AND app != ''), batch_cut) AS taken_cut,
    arrayDistinct(arrayConcat(taken_cut, arrayFilter(name -> name != '', [
        if(length(line) > {line_bytes_max:UInt64}, 'line', ''),
        if(length(meta) > {meta_bytes_max:UInt64}, 'meta', ''),
        if(length(label) > {meta_bytes_max:UInt64}, 'label', ''),
        if(length(annotation) > {meta_bytes_max:UInt64}, 'annotation', ''),
        if(lengthUTF8(env) > {level_characters_max:UInt64}, 'env', ''),
        if(lengthUTF8(file) > {file_characters_max:UInt64}, 'file', ''),
        if(lengthUTF8(host) > {host_characters_max:UInt64}, 'host', ''),
        if(lengthUTF8(long_app) > {app_characters_max:UInt64}, 'app', ''),
        if(lengthUTF8(level) > {level_characters_max:UInt64}, 'level', ''),
        if(length(batch_tags) + length(line_tags) > {tags_max:UInt64}
            OR arrayExists(tag -> lengthUTF8(tag) > {tag_characters_max:UInt64}, line_tags), 'tags', '')]))) AS cut
FROM exploded
