-- What an ETL run asks of PostgreSQL, by one GROUP BY and without the answer being sent anywhere: the same measures
-- of each chip and UTC day as etl/chip-days.sql. $1 the instant from which telemetry counts.
EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF)
SELECT
  chip_id,
  (recorded_at AT TIME ZONE 'UTC')::date AS day,
  count(*)::float8,
  count(error_code)::float8,
  count(error_code)::float8 / count(*)::float8,
  avg(response_time_ms ORDER BY response_time_ms) FILTER (WHERE response_time_ms < 'Infinity'),
  percentile_cont(0.95) WITHIN GROUP (ORDER BY response_time_ms) FILTER (WHERE response_time_ms < 'Infinity'),
  min(battery_percent)::float8,
  sum(battery_percent)::float8 / nullif(count(battery_percent), 0)::float8,
  coalesce(sum(active_ms), 0)::float8 / 60000,
  coalesce(sum(movement_count), 0)::float8
FROM telemetry_events
WHERE recorded_at >= $1
GROUP BY chip_id, day
