-- The 30 days that end with the report's, of all prostheses of one user: one range of the primary key.
SELECT
    prosthesis_id,
    day,
    events,
    errors,
    error_rate,
    response_time_avg_ms,
    response_time_p95_ms,
    battery_min_percent,
    battery_avg_percent,
    active_minutes,
    movements
FROM reports.user_prosthesis_stats FINAL
WHERE user_id = {user_id:UUID}
    AND day > {date:Date32} - 30
    AND day <= {date:Date32}
ORDER BY prosthesis_id, day
SETTINGS max_memory_usage = 500000000
