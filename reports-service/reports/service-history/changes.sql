-- The log of every prosthesis that was the customer's in any version of its row, newest first. A key in the log is
-- the source's key columns as JSON, so that this is a look-up by the primary key (table, key, version).
SELECT
    key,
    op,
    deleted,
    row,
    committed_at
FROM cdc.events FINAL
WHERE table = 'public.prostheses'
    AND key IN (
        SELECT concat('{"id":"', toString(id), '"}')
        FROM crm.prostheses
        WHERE customer_id = {user_id:UUID}
    )
    AND committed_at < toDateTime64({date:Date32} + 1, 6, 'UTC')
ORDER BY version DESC
LIMIT {limit:UInt32}
SETTINGS max_execution_time = 10, max_memory_usage = 500000000
