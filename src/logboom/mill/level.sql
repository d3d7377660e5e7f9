-- How severe a line is: what its JSON says, else what was sent with it, else a usual word near its start
-- (product.md 2.4). Words in capitals count anywhere in the head; in small letters only in brackets or after `level=`.
SELECT
    * EXCEPT (level, may_be_json, likely_from, likely_root, other_from, root, level_1, level_2, level_3, every_leaf,
        all_leaves, numeric_leaves, text_leaves),
    -- Some libraries number their levels.
    if(mapContains(numbers, 'level'), toString(numbers['level']),
        substringUTF8(fields['level'], 1, {level_characters_max:UInt64})) AS stated_level,
    level AS sent_level,
    multiIf(
        stated_level != '', stated_level,
        sent_level != '', sent_level,
        extract(substring(line, 1, 200), {loud_level:String}) != '',
            extract(substring(line, 1, 200), {loud_level:String}),
        extract(substring(line, 1, 200), {quiet_level:String})) AS level,
    if(stated_level != '' AND sent_level != '' AND lower(stated_level) != lower(sent_level), sent_level, '') AS original_level
FROM parse
