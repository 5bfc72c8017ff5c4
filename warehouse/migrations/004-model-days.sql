ALTER TABLE reports.user_prosthesis_stats ADD COLUMN IF NOT EXISTS firmware_version LowCardinality(String) DEFAULT '' COMMENT 'Firmware the prosthesis had on that day; empty when the run that wrote the row did not know' AFTER model_id;

CREATE TABLE IF NOT EXISTS reports.model_days
(
    day Date COMMENT 'UTC day of the telemetry',
    model_id Int32 COMMENT 'Model of the prosthesis',
    user_id UUID COMMENT 'Customer who had the prosthesis on that day',
    prosthesis_id UUID COMMENT 'Prosthesis',
    firmware_version LowCardinality(String) COMMENT 'Firmware on that day; empty when it is not known',
    events UInt32 COMMENT 'Telemetry events',
    errors UInt32 COMMENT 'Events with an error code',
    error_rate Float64 COMMENT 'errors / events',
    response_time_avg_ms Nullable(Float64) COMMENT 'Mean response time; null when none was measured',
    battery_avg_percent Nullable(Float64) COMMENT 'Mean charge',
    active_minutes Float64 COMMENT 'Time in motion',
    movements UInt64 COMMENT 'Movements counted',
    _version UInt64 COMMENT 'As in user_prosthesis_stats',
    _deleted UInt8 COMMENT '1 when there are no numbers any more'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY (day, model_id, user_id, prosthesis_id)
COMMENT 'The rows of user_prosthesis_stats by day and model, for what compares prostheses: medians, the fleet. A row stays under the model it was written with. Read with FINAL';

CREATE MATERIALIZED VIEW IF NOT EXISTS reports.model_days_mv TO reports.model_days AS
SELECT
    day,
    model_id,
    user_id,
    prosthesis_id,
    firmware_version,
    events,
    errors,
    error_rate,
    response_time_avg_ms,
    battery_avg_percent,
    active_minutes,
    movements,
    _version,
    _deleted
FROM reports.user_prosthesis_stats
COMMENT 'Copies each row written to user_prosthesis_stats into model_days';

INSERT INTO reports.model_days
SELECT
    day,
    model_id,
    user_id,
    prosthesis_id,
    firmware_version,
    events,
    errors,
    error_rate,
    response_time_avg_ms,
    battery_avg_percent,
    active_minutes,
    movements,
    _version,
    _deleted
FROM reports.user_prosthesis_stats;
