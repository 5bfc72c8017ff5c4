-- Without a row the aggregates would say 1970-01-01.
SELECT
    toDate(min(committed_at)) AS `from`,
    toDate(max(committed_at)) AS `to`
FROM cdc.events
WHERE table = 'public.prostheses'
    AND key IN (
        SELECT concat('{"id":"', toString(id), '"}')
        FROM crm.prostheses
        WHERE customer_id = {user_id:UUID}
    )
HAVING count() > 0
SETTINGS max_execution_time = 10, max_memory_usage = 500000000
