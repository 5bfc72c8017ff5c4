-- The log of every prosthesis that was ever the customer's, newest first, up to the day's end where the customer lives.
-- Whose it was stands in the log alone: the replica drops a former owner with its next merge. The log's index
-- by customer finds the keys, by the very same expression; it takes numbers of any size, and rows have no blanks between their
-- tokens. The key is then a look-up by the primary key (table, key, version).
SELECT
    key,
    op,
    deleted,
    row,
    version,
    committed_at,
    toDate32(committed_at, {zone:String}) AS day
FROM cdc.events FINAL
WHERE table = 'public.prostheses'
    AND key IN (
        SELECT key
        FROM cdc.events
        WHERE table = 'public.prostheses'
            AND simpleJSONExtractString(row, 'customer_id') = toString({user_id:UUID})
    )
    AND committed_at < toDateTime64({date:Date32} + 1, 6, {zone:String})
ORDER BY version DESC
LIMIT {limit:UInt32}
SETTINGS max_memory_usage = 500000000
