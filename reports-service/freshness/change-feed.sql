-- A position is written once its changes can be read in crm.*; the log itself may be ahead of those tables.
-- One row a feed, whatever the size of the log.
SELECT
    toString(version) AS position,
    committed_at
FROM cdc.positions FINAL
WHERE version > 0
ORDER BY version DESC
LIMIT 1
SETTINGS max_execution_time = 10, max_memory_usage = 100000000
