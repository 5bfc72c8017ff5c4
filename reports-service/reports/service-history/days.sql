-- Days where the customer lives. Without a row the aggregates would say 1970-01-01.
SELECT
    toDate(min(committed_at), {zone:String}) AS `from`,
    toDate(max(committed_at), {zone:String}) AS `to`
FROM cdc.events
WHERE table = 'public.prostheses'
    AND key IN (
        SELECT key
        FROM cdc.events
        WHERE table = 'public.prostheses'
            AND simpleJSONExtractString(row, 'customer_id') = toString({user_id:UUID})
    )
HAVING count() > 0
SETTINGS max_memory_usage = 500000000
