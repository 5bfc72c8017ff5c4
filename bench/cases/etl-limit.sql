-- What an ETL run asks of PostgreSQL at least, by one GROUP BY and without the answer being sent anywhere: the same
-- measures of each chip and UTC day. $1 the instant from which telemetry counts. Cut by date_bin, which costs less than a
-- cast to date; the mean is not the same bits each time, as the job's is.
EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF)
SELECT
  chip_id,
  date_bin('1 day', recorded_at, '2000-01-01 00:00Z') AS day,
  count(*),
  count(error_code),
  count(error_code)::float8 / count(*)::float8,
  avg(response_time_ms),
  percentile_cont(0.95) WITHIN GROUP (ORDER BY response_time_ms),
  min(battery_percent),
  avg(battery_percent)::float8,
  coalesce(sum(active_ms), 0)::float8 / 60000,
  coalesce(sum(movement_count), 0)
FROM telemetry_events
WHERE recorded_at >= $1
GROUP BY chip_id, day
