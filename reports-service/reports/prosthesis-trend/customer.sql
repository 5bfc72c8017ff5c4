-- Without a row the aggregate says ''.
SELECT any(time_zone) AS time_zone
FROM crm.customers FINAL
WHERE id = {user_id:UUID}
SETTINGS max_memory_usage = 100000000
