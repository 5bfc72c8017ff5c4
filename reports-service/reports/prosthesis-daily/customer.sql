-- Read by the primary key.
SELECT
    full_name,
    time_zone
FROM crm.customers FINAL
WHERE id = {user_id:UUID}
SETTINGS max_memory_usage = 500000000
