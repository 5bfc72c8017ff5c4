-- FINAL, because that a run was found dead stands against its own word.
CREATE VIEW IF NOT EXISTS reports.succeeded_runs
(
    run_seq UInt64 COMMENT 'Runs in order, from 1',
    run_id UUID COMMENT 'As in the log',
    kind LowCardinality(String) COMMENT 'run: took what telemetry there was; backfill: of past days, and says nothing of the present',
    started_at DateTime64(6, 'UTC') COMMENT 'Start of the run, before it read the telemetry',
    finished_at Nullable(DateTime64(6, 'UTC')) COMMENT 'End of the run',
    default_time_zone LowCardinality(String) COMMENT 'Zone of the days of customers for whom the CRM has none, IANA name'
)
AS SELECT
    run_seq,
    run_id,
    kind,
    started_at,
    finished_at,
    default_time_zone
FROM reports.etl_runs FINAL
WHERE state = 'succeeded'
COMMENT 'ETL runs whose numbers are all there: what the statistics are made by';
