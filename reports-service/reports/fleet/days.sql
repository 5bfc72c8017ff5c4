-- The ends of the primary key. Without a row the aggregates would say 1970-01-01.
-- `latest` is the last day that was over everywhere when the newest run read the telemetry: of a later one only those who
-- live further east have sent anything.
WITH
    (
        SELECT toDate32(argMax(started_at, run_seq), {last_zone:String}) - 1
        FROM reports.succeeded_runs
        WHERE kind = 'run'
        HAVING count() > 0
    ) AS last_over
SELECT
    min(day) AS `from`,
    max(day) AS `to`,
    if(ifNull(last_over >= `from`, 0), least(assumeNotNull(last_over), `to`), `to`) AS latest
FROM reports.model_days
HAVING count() > 0
SETTINGS max_memory_usage = 500000000
