-- The newest state of all numbers: backfills change them too. FINAL, because that a run was found dead stands against its
-- own word.
SELECT
    run_id,
    finished_at
FROM reports.etl_runs FINAL
WHERE state = 'succeeded'
ORDER BY run_seq DESC
LIMIT 1
SETTINGS max_memory_usage = 100000000
