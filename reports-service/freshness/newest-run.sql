-- The newest state of all numbers: backfills change them too.
SELECT
    run_id,
    finished_at
FROM reports.succeeded_runs
ORDER BY run_seq DESC
LIMIT 1
SETTINGS max_memory_usage = 100000000
