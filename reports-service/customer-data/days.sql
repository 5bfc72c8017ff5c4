-- The first and the last day of which a customer's prostheses have numbers. Without a row the aggregates would say
-- 1970-01-01.
SELECT
    min(day) AS `from`,
    max(day) AS `to`
FROM reports.user_prosthesis_stats FINAL
WHERE user_id = {user_id:UUID}
HAVING count() > 0
SETTINGS max_memory_usage = 500000000
