-- What each model was called, oldest first. The catalogue is small, and the primary key finds its part of the log.
SELECT
    simpleJSONExtractInt(key, 'id') AS model_id,
    simpleJSONExtractString(row, 'name') AS name,
    version,
    committed_at,
    toDate32(committed_at, {zone:String}) AS day
FROM cdc.events FINAL
WHERE table = 'public.prosthesis_models'
    AND deleted = 0
ORDER BY version
SETTINGS max_memory_usage = 500000000
