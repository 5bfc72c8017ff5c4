-- The newest run up to `newest` of which every user was invalidated, and of every run before it: a run succeeds
-- also when reports-service was away, and the next one then delivers its list. Lists are written before a run
-- succeeds, so that those of a run which has succeeded are all seen. This reads 90 days of lists.
SELECT
    run_id,
    started_at
FROM reports.succeeded_runs
WHERE kind = 'run'
    AND run_seq < (
        SELECT ifNull(minOrNull(run_seq), {newest:UInt64} + 1)
        FROM reports.etl_invalidations FINAL
        WHERE delivered = 0 AND run_seq <= {newest:UInt64}
    )
ORDER BY run_seq DESC
LIMIT 1
SETTINGS max_memory_usage = 1000000000
