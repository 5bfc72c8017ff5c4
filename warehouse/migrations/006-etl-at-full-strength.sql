ALTER TABLE reports.user_prosthesis_stats MODIFY COLUMN day Date COMMENT 'Day of the telemetry where the customer lives';

CREATE TABLE IF NOT EXISTS reports.stats_by_day
(
    day Date COMMENT 'Day of the telemetry where the customer lives',
    user_id UUID COMMENT 'Customer who had the prosthesis on that day',
    prosthesis_id UUID COMMENT 'Prosthesis',
    chip_id String COMMENT 'Chip in the prosthesis that sent the telemetry',
    model_id Int32 COMMENT 'Model of the prosthesis',
    firmware_version LowCardinality(String) COMMENT 'Firmware on that day; empty when it is not known',
    events UInt32 COMMENT 'Telemetry events',
    errors UInt32 COMMENT 'Events with an error code',
    error_rate Float64 COMMENT 'errors / events',
    response_time_avg_ms Nullable(Float64) COMMENT 'Mean response time; null when none was measured',
    response_time_p95_ms Nullable(Float64) COMMENT '95th percentile of the response time',
    battery_min_percent Nullable(UInt8) COMMENT 'Lowest charge; null when none was sent',
    battery_avg_percent Nullable(Float64) COMMENT 'Mean charge',
    active_minutes Float64 COMMENT 'Time in motion',
    movements UInt64 COMMENT 'Movements counted',
    _version UInt64 COMMENT 'As in user_prosthesis_stats',
    _deleted UInt8 COMMENT '1 when there are no numbers any more'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY (day, user_id, prosthesis_id)
COMMENT 'The rows of user_prosthesis_stats by day, for the ETL job: it reads what stands for a few days, which along the key of users is spread over the whole history. Read with FINAL';

CREATE MATERIALIZED VIEW IF NOT EXISTS reports.stats_by_day_mv TO reports.stats_by_day AS
SELECT
    day,
    user_id,
    prosthesis_id,
    chip_id,
    model_id,
    firmware_version,
    events,
    errors,
    error_rate,
    response_time_avg_ms,
    response_time_p95_ms,
    battery_min_percent,
    battery_avg_percent,
    active_minutes,
    movements,
    _version,
    _deleted
FROM reports.user_prosthesis_stats
COMMENT 'Copies each row written to user_prosthesis_stats into stats_by_day';

INSERT INTO reports.stats_by_day (day, user_id, prosthesis_id, chip_id, model_id, firmware_version, events, errors, error_rate, response_time_avg_ms, response_time_p95_ms, battery_min_percent, battery_avg_percent, active_minutes, movements, _version, _deleted)
SELECT
    day,
    user_id,
    prosthesis_id,
    chip_id,
    model_id,
    firmware_version,
    events,
    errors,
    error_rate,
    response_time_avg_ms,
    response_time_p95_ms,
    battery_min_percent,
    battery_avg_percent,
    active_minutes,
    movements,
    _version,
    _deleted
FROM reports.user_prosthesis_stats;

ALTER TABLE reports.etl_runs
    ADD COLUMN IF NOT EXISTS kind LowCardinality(String) DEFAULT 'run' COMMENT 'run: from one watermark to the next; backfill: a part of a backfill, which moves no watermark' AFTER state,
    ADD COLUMN IF NOT EXISTS holder String DEFAULT '' COMMENT 'Host and process of the run' AFTER kind,
    ADD COLUMN IF NOT EXISTS mode LowCardinality(String) DEFAULT '' COMMENT 'full: all telemetry was measured; increment: what was new' AFTER holder,
    ADD COLUMN IF NOT EXISTS full_reason String DEFAULT '' COMMENT 'Why all of it was measured' AFTER mode,
    ADD COLUMN IF NOT EXISTS watermark_kind LowCardinality(String) DEFAULT 'xid' COMMENT 'xid: exact; timestamp: the source has no ingest_xid, and watermarks are microseconds since 1970 with a lag window' AFTER cdc_version,
    ADD COLUMN IF NOT EXISTS watermark_lag_s Float64 DEFAULT 0 COMMENT 'How long the watermark has been kept from moving by a transaction that is open at the source' AFTER watermark_kind,
    ADD COLUMN IF NOT EXISTS source String DEFAULT '' COMMENT 'Cluster, timeline, database and table the watermark belongs to' AFTER watermark_lag_s,
    ADD COLUMN IF NOT EXISTS definition String DEFAULT '' COMMENT 'Hash of the metrics, rules and options the numbers were made by' AFTER source,
    ADD COLUMN IF NOT EXISTS rows_quarantined UInt64 DEFAULT 0 COMMENT 'Telemetry rows of the measured days that are in quarantine' AFTER rows_in,
    ADD COLUMN IF NOT EXISTS rows_unowned UInt64 DEFAULT 0 COMMENT 'Telemetry rows of the measured days that belong to nobody' AFTER rows_quarantined,
    ADD COLUMN IF NOT EXISTS rows_unchanged UInt64 DEFAULT 0 COMMENT 'Rows of user_prosthesis_stats that were measured again and stand as they were' AFTER rows_deleted,
    ADD COLUMN IF NOT EXISTS users_changed UInt64 DEFAULT 0 COMMENT 'Users whose numbers this run changed' AFTER rows_unchanged,
    ADD COLUMN IF NOT EXISTS problems Array(Tuple(kind LowCardinality(String), subject String, detail String)) DEFAULT [] COMMENT 'What is wrong with the data: overlapping ownership, unknown chips, failed checks' AFTER unknown_chips,
    ADD COLUMN IF NOT EXISTS backfill_id String DEFAULT '' COMMENT 'Backfill this is a part of' AFTER problems,
    ADD COLUMN IF NOT EXISTS from_day Nullable(Date) COMMENT 'First day of this part of the backfill' AFTER backfill_id,
    ADD COLUMN IF NOT EXISTS to_day Nullable(Date) COMMENT 'Last day of it' AFTER from_day;

CREATE TABLE IF NOT EXISTS reports.etl_ownership
(
    prosthesis_id UUID COMMENT 'Prosthesis',
    user_id UUID COMMENT 'Customer who has, or had, it',
    chip_id String COMMENT 'Its chip',
    model_id Int32 COMMENT 'Its model',
    issued_day Int32 COMMENT 'First day with the customer, in days since 1970-01-01',
    returned_day Nullable(Int32) COMMENT 'First day no longer with them; null while they have it',
    time_zone String COMMENT 'Where the customer lives, IANA name; empty when it is not known',
    _version UInt64 COMMENT 'Run that saw it so',
    _deleted UInt8 COMMENT '1 when the CRM has it no longer'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY prosthesis_id
COMMENT 'Ownership as the last run that succeeded has seen it: what differs from the CRM since is measured again. Read with FINAL';

CREATE TABLE IF NOT EXISTS reports.etl_firmware
(
    prosthesis_id UUID COMMENT 'Prosthesis',
    since_day Int32 COMMENT 'Day from which a run saw it, in days since 1970-01-01',
    firmware_version LowCardinality(String) COMMENT 'Firmware on the device',
    _version UInt64 COMMENT 'Run that saw it'
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (prosthesis_id, since_day)
COMMENT 'Firmware of each prosthesis as the runs saw it change: the CRM has only the current one. Read with FINAL';

CREATE TABLE IF NOT EXISTS reports.etl_quarantine
(
    chip_id String COMMENT 'Chip that sent the row; empty when the row names none',
    row_id Int64 COMMENT 'telemetry_events.id',
    day Date COMMENT 'Day it would have counted for; 1970-01-01 when it has none',
    recorded_at String COMMENT 'Time the row carries, ISO 8601',
    reason LowCardinality(String) COMMENT 'Rule that it breaks',
    detail String COMMENT 'What it holds instead',
    _version UInt64 COMMENT 'Run that put it here',
    _deleted UInt8 COMMENT '1 when it is all right now, or gone',
    seen_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was put here'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY (chip_id, row_id)
COMMENT 'Telemetry rows that no number is made from, and why. Read with FINAL';
