-- A position is written once its changes can be read in crm.*; the log itself may be ahead of those tables.
-- `position` is the LSN below which the users concerned are invalidated too, and the upper half of a version is the
-- LSN of its commit, both in one count over all histories of the source.
-- A feed that has not read anything yet says 1970.
-- One row a feed, whatever the size of the log.
SELECT
    toString(version) AS position,
    committed_at,
    bitShiftRight(version, 64) < cdc.positions.position AS is_delivered
FROM cdc.positions FINAL
WHERE version > 0 AND committed_at > toDateTime64(0, 6)
ORDER BY version DESC
LIMIT 1
SETTINGS max_memory_usage = 100000000
