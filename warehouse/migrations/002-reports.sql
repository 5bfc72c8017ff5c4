CREATE DATABASE IF NOT EXISTS reports ENGINE = Atomic COMMENT 'What reports are made of';

CREATE TABLE IF NOT EXISTS reports.user_prosthesis_stats
(
    user_id UUID COMMENT 'Customer who had the prosthesis on that day',
    prosthesis_id UUID COMMENT 'Prosthesis',
    day Date COMMENT 'UTC day of the telemetry',
    chip_id String COMMENT 'Chip in the prosthesis that sent the telemetry',
    model_id Int32 COMMENT 'Model of the prosthesis',
    events UInt32 COMMENT 'Telemetry events',
    errors UInt32 COMMENT 'Events with an error code',
    error_rate Float64 COMMENT 'errors / events',
    response_time_avg_ms Nullable(Float64) COMMENT 'Mean response time; null when none was measured',
    response_time_p95_ms Nullable(Float64) COMMENT '95th percentile of the response time',
    battery_min_percent Nullable(UInt8) COMMENT 'Lowest charge; null when none was sent',
    battery_avg_percent Nullable(Float64) COMMENT 'Mean charge',
    active_minutes Float64 COMMENT 'Time in motion',
    movements UInt64 COMMENT 'Movements counted',
    _version UInt64 COMMENT 'Sequence number of the ETL run that wrote the row',
    _deleted UInt8 COMMENT '1 when there are no numbers any more'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY (user_id, prosthesis_id, day)
COMMENT 'Numbers of one prosthesis on one day, for the person who had it then. Read with FINAL';

CREATE TABLE IF NOT EXISTS reports.etl_runs
(
    run_seq UInt64 COMMENT 'Runs in order, from 1',
    run_id UUID COMMENT 'As in the log',
    state LowCardinality(String) COMMENT 'running, succeeded or failed',
    started_at DateTime64(6, 'UTC') COMMENT 'Start of the run',
    finished_at Nullable(DateTime64(6, 'UTC')) COMMENT 'End of the run; null while it runs',
    watermark_from UInt64 COMMENT 'Telemetry of transactions from this xid on',
    watermark_to UInt64 COMMENT 'up to but without this one',
    cdc_version UInt128 COMMENT 'Newest CRM change the run has seen',
    pairs UInt64 COMMENT 'Chip days recomputed',
    rows_in UInt64 COMMENT 'Telemetry rows read',
    rows_written UInt64 COMMENT 'Rows of user_prosthesis_stats written',
    rows_deleted UInt64 COMMENT 'Rows of user_prosthesis_stats deleted',
    users_invalidated UInt64 COMMENT 'Users whose invalidation this run delivered, also those that a run before it could not reach',
    unknown_chips Array(String) COMMENT 'Chips with telemetry that no prosthesis has',
    step_durations_ms Map(LowCardinality(String), Float64) COMMENT 'Time of each step',
    error String COMMENT 'Why it failed; empty otherwise',
    _version UInt64 COMMENT 'Rises with each state written'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY run_seq
COMMENT 'ETL runs. Read with FINAL';

CREATE TABLE IF NOT EXISTS reports.etl_invalidations
(
    run_seq UInt64 COMMENT 'Run that changes the numbers of the user',
    user_id UUID COMMENT 'User to invalidate',
    delivered UInt8 COMMENT '1 once reports-service has confirmed it',
    _version UInt64 COMMENT 'Rises with each state written',
    created_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When this was written'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (run_seq, user_id)
TTL toDateTime(created_at) + INTERVAL 90 DAY WHERE delivered = 1
COMMENT 'Users a run must invalidate, written before its load; those of a dead run are delivered by the next. Read with FINAL';
