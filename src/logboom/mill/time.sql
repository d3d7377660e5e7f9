-- When a line happened. Senders mix seconds, milliseconds, finer units and dates as text, so the unit is guessed by
-- size (mezmo-api 5.6). What cannot be read, or lies more than a day ahead, happened when it arrived.
SELECT
    * EXCEPT (timestamp, long_app, line_tags, taken_cut),
    toFloat64OrNull(timestamp) AS number,
    multiIf(
        number IS NULL, toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(timestamp, 3, 'UTC')),
        number < 1e11, toInt64OrNull(toString(round(number * 1000))),
        number < 1e14, toInt64OrNull(toString(round(number))),
        number < 1e17, toInt64OrNull(toString(round(number / 1000))),
        toInt64OrNull(toString(round(number / 1000000)))) AS stated_ms,
    if(stated_ms IS NULL OR stated_ms <= 0 OR stated_ms > received_ms + {future_ms_max:Int64},
        received_ms, assumeNotNull(stated_ms)) AS ts_ms
FROM cut
