-- Formats to fields. A line that ends with `}` is JSON from its first `{"`, or else its first `{`, on (product.md 2.3).
-- Objects are opened three levels deep (Mezmo's limit, mezmo-api 5.5), deeper ones stay text; numbers go to `numbers`,
-- everything else to `fields`, under dotted paths. Numbers of more than 15 digits stay text as well, which keeps every
-- digit. An object under a long path stays text too: each of its members would repeat the path.
WITH
    members -> arrayFlatten(arrayMap(member -> arrayMap(inner -> (concat(member.1, '.', inner.1), inner.2),
        JSONExtractKeysAndValuesRaw(member.2)), arrayFilter(member -> startsWith(member.2, '{')
            AND length(member.1) <= {path_bytes_max:UInt64}, members))) AS opened,
    members -> arrayFilter(member -> not startsWith(member.2, '{') OR length(member.1) > {path_bytes_max:UInt64}, members)
        AS leaves,
    (text, name) -> if(text = '', [], arrayMap(member -> (concat(name, '.', member.1), member.2),
        JSONExtractKeysAndValuesRaw(text))) AS beside
SELECT
    * EXCEPT (number, stated_ms, cut),
    endsWith(line, '}') AND not has(cut, 'line') AS may_be_json,
    if(may_be_json, position(line, '{"'), 0) AS likely_from,
    if(likely_from > 0, JSONExtractKeysAndValuesRaw(substring(line, likely_from)), []) AS likely_root,
    if(may_be_json AND empty(likely_root), position(line, '{'), 0) AS other_from,
    if(other_from > 0, JSONExtractKeysAndValuesRaw(substring(line, other_from)), likely_root) AS root,
    multiIf(notEmpty(likely_root), likely_from, notEmpty(root), other_from, 0) AS json_from,
    if(json_from > 0, 'json', '') AS logtype,
    arrayConcat(
        arrayFilter(member -> member.1 NOT IN ('_account', '_retention'), root),
        beside(meta, 'meta'), beside(label, 'label'), beside(annotation, 'annotation')) AS level_1,
    opened(level_1) AS level_2,
    opened(level_2) AS level_3,
    arrayFilter(leaf -> leaf.2 != 'null', arrayConcat(leaves(level_1), leaves(level_2), level_3)) AS every_leaf,
    arraySlice(every_leaf, 1, {fields_max:UInt64}) AS all_leaves,
    if(length(every_leaf) > {fields_max:UInt64}, arrayConcat(cut, ['fields']), cut) AS cut,
    arrayFilter(leaf -> match(leaf.2, '^-?[0-9]'), all_leaves) AS numeric_leaves,
    arrayFilter(leaf -> not match(leaf.2, '^-?[0-9]') OR length(leaf.2) > 15, all_leaves) AS text_leaves,
    CAST((arrayMap(leaf -> leaf.1, text_leaves), arrayMap(leaf -> multiIf(
        not startsWith(leaf.2, '"'), leaf.2,
        position(leaf.2, '\\') > 0, JSONExtractString(leaf.2),
        substring(leaf.2, 2, length(leaf.2) - 2)), text_leaves)), 'Map(LowCardinality(String), String)') AS fields,
    CAST((arrayMap(leaf -> leaf.1, numeric_leaves), arrayMap(leaf -> toFloat64OrZero(leaf.2), numeric_leaves)),
        'Map(LowCardinality(String), Float64)') AS numbers
FROM time
