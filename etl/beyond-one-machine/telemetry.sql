-- Telemetry in ClickHouse, for a rate that one PostgreSQL does not take: devices send to Kafka, a Kafka engine table of
-- the cluster reads it into telemetry.incoming, and everything after that is below. Tried at small scale by
-- telemetry.test.ts; the job does not read it yet.
CREATE DATABASE IF NOT EXISTS telemetry ENGINE = Atomic;

-- In production a Kafka engine table of the same columns, whose virtual columns _partition and _offset are the position.
CREATE TABLE IF NOT EXISTS telemetry.incoming
(
    id Int64,
    chip_id String,
    signal LowCardinality(String),
    recorded_at DateTime64(6, 'UTC'),
    ingested_at DateTime64(6, 'UTC'),
    response_time_ms Nullable(Float32),
    battery_percent Nullable(Int16),
    error_code LowCardinality(Nullable(String)),
    movement_count Nullable(Int32),
    active_ms Nullable(Int32)
)
ENGINE = Null;

-- A message is one row however often it comes: the first that was stored stands, which the highest rank says.
CREATE TABLE IF NOT EXISTS telemetry.events
(
    chip_id String,
    recorded_at DateTime64(6, 'UTC'),
    signal LowCardinality(String),
    response_time_ms Nullable(Float32),
    battery_percent Nullable(Int16),
    has_error UInt8,
    movement_count Nullable(Int32),
    active_ms Nullable(Int32),
    rank UInt64
)
ENGINE = ReplacingMergeTree(rank)
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (chip_id, recorded_at, signal);

-- row-rules.ts as a condition. What it leaves out goes to the quarantine by a second view with its opposite.
CREATE MATERIALIZED VIEW IF NOT EXISTS telemetry.events_mv TO telemetry.events AS
SELECT
    chip_id,
    recorded_at,
    signal,
    response_time_ms,
    battery_percent,
    isNotNull(error_code) AS has_error,
    movement_count,
    active_ms,
    18446744073709551615 - toUInt64(id) AS rank
FROM telemetry.incoming
WHERE chip_id != ''
    AND recorded_at >= '2000-01-01'
    AND recorded_at <= ingested_at + INTERVAL 60 MINUTE
    AND ifNull(response_time_ms >= 0 AND response_time_ms <= 60000, 1)
    AND ifNull(active_ms BETWEEN 0 AND 86400000, 1)
    AND ifNull(battery_percent BETWEEN 0 AND 100, 1)
    AND ifNull(movement_count BETWEEN 0 AND 100000, 1);

-- Which chip days are touched, from which position on: what ingest_xid is in PostgreSQL. A run reads the rows above the
-- position of the last one. Here that is the highest id, which is enough for a topic of one partition alone: of several it
-- has to be kept for each, as (_partition, _offset), or what a slower one brings lies below it and is never looked at. The
-- engine writes a block through one view after the other and repeats it when that fails: the day may be here before its
-- rows are among the events, so that a run has to leave out what is newer than the last block it knows to be whole.
CREATE TABLE IF NOT EXISTS telemetry.touched
(
    position UInt64,
    chip_id String,
    first_at DateTime64(6, 'UTC'),
    last_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY position
TTL toDateTime(last_at) + INTERVAL 90 DAY;

CREATE MATERIALIZED VIEW IF NOT EXISTS telemetry.touched_mv TO telemetry.touched AS
SELECT
    toUInt64(max(id)) AS position,
    chip_id,
    min(recorded_at) AS first_at,
    max(recorded_at) AS last_at
FROM telemetry.incoming
GROUP BY chip_id, toDate(recorded_at);
