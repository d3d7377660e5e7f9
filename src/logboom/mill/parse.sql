-- Formats to fields. A line that ends with `}` is JSON from its first `{` on (product.md 2.3). Objects are opened three
-- levels deep (Mezmo's limit, mezmo-api 5.5), deeper ones stay text; numbers go to `numbers`, everything else to `fields`, under dotted paths.
-- Numbers of more than 15 digits stay text as well, which keeps every digit.
WITH
    members -> arrayFlatten(arrayMap(member -> arrayMap(inner -> (concat(member.1, '.', inner.1), inner.2),
        JSONExtractKeysAndValuesRaw(member.2)), arrayFilter(member -> startsWith(member.2, '{'), members))) AS opened,
    members -> arrayFilter(member -> not startsWith(member.2, '{'), members) AS leaves
SELECT
    * EXCEPT (number, stated_ms),
    if(endsWith(line, '}') AND not has(cut, 'line'),
        JSONExtractKeysAndValuesRaw(substring(line, position(line, '{'))), []) AS root,
    if(notEmpty(root), 'json', '') AS logtype,
    arrayConcat(
        arrayFilter(member -> member.1 NOT IN ('_account', '_retention'), root),
        if(meta = '', [], arrayMap(member -> (concat('meta.', member.1), member.2), JSONExtractKeysAndValuesRaw(meta))),
        if(label = '', [], arrayMap(member -> (concat('label.', member.1), member.2), JSONExtractKeysAndValuesRaw(label))),
        if(annotation = '', [], arrayMap(member -> (concat('annotation.', member.1), member.2),
            JSONExtractKeysAndValuesRaw(annotation)))) AS level_1,
    opened(level_1) AS level_2,
    opened(level_2) AS level_3,
    arrayFilter(leaf -> leaf.2 != 'null', arrayConcat(leaves(level_1), leaves(level_2), level_3)) AS all_leaves,
    arrayFilter(leaf -> match(leaf.2, '^-?[0-9]'), all_leaves) AS numeric_leaves,
    arrayFilter(leaf -> not match(leaf.2, '^-?[0-9]') OR length(leaf.2) > 15, all_leaves) AS text_leaves,
    CAST((arrayMap(leaf -> leaf.1, text_leaves), arrayMap(leaf -> multiIf(
        not startsWith(leaf.2, '"'), leaf.2,
        position(leaf.2, '\\') > 0, JSONExtractString(leaf.2),
        substring(leaf.2, 2, length(leaf.2) - 2)), text_leaves)), 'Map(LowCardinality(String), String)') AS fields,
    CAST((arrayMap(leaf -> leaf.1, numeric_leaves), arrayMap(leaf -> toFloat64OrZero(leaf.2), numeric_leaves)),
        'Map(LowCardinality(String), Float64)') AS numbers
FROM time
