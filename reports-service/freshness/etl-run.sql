-- The newest run that took what telemetry there was; a backfill is of past days, and says nothing of the present.
SELECT
    run_seq,
    run_id,
    started_at
FROM reports.succeeded_runs
WHERE kind = 'run'
ORDER BY run_seq DESC
LIMIT 1
SETTINGS max_memory_usage = 100000000
