-- Where the customer lives, if ClickHouse knows it. Without a row the aggregate says ''.
SELECT if(any(time_zone) IN (SELECT time_zone FROM system.time_zones), any(time_zone), 'UTC') AS zone
FROM crm.customers FINAL
WHERE id = {user_id:UUID}
SETTINGS max_memory_usage = 100000000
