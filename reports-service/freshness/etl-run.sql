-- The newest run that took what telemetry there was; a backfill is of past days, and says nothing of the present. FINAL,
-- because that a run was found dead stands against its own word.
SELECT
    run_seq,
    run_id,
    started_at
FROM reports.etl_runs FINAL
WHERE state = 'succeeded' AND kind = 'run'
ORDER BY run_seq DESC
LIMIT 1
SETTINGS max_memory_usage = 100000000
