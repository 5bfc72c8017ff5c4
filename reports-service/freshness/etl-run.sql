-- `succeeded` is a run's last state, so that FINAL is not needed; without it the key is read from its end and
-- the first match ends the query, however many runs there were.
SELECT
    run_seq,
    run_id,
    finished_at
FROM reports.etl_runs
WHERE state = 'succeeded' AND kind = 'run'
ORDER BY run_seq DESC
LIMIT 1
SETTINGS max_execution_time = 10, max_memory_usage = 100000000
