INSERT INTO reports.user_prosthesis_stats
    (user_id, prosthesis_id, day, chip_id, model_id, firmware_version, events, errors, error_rate, response_time_avg_ms,
     response_time_p95_ms, battery_min_percent, battery_avg_percent, active_minutes, movements, _version, _deleted)
SELECT
    toUUID(concat('a0000000-0000-4000-8000-', leftPad(toString(user), 12, '0'))),
    toUUID(concat('b0000000-0000-4000-8000-', leftPad(toString(user), 12, '0'))),
    toDate({last_day:String}) - (number % {days:UInt32}),
    concat('chip-', toString(user)),
    user % 20 + 1,
    concat('3.', toString(intDiv(number % {days:UInt32}, 90)), '.0'),
    200 + number % 61 AS events,
    number % 7 AS errors,
    errors / events,
    100 + number % 83,
    180 + number % 89,
    10 + number % 41,
    50 + number % 37,
    300 + number % 101,
    3000 + number % 997,
    1,
    0
FROM
(
    SELECT number, {first:UInt32} + intDiv(number, {days:UInt32}) AS user
    FROM numbers(toUInt64({users:UInt32}) * {days:UInt32})
)
SETTINGS max_memory_usage = 6000000000
