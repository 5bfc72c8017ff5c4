-- $2 rows that arrived just now, spread over the chips $1 and over the last quarter of an hour of this UTC day.
INSERT INTO telemetry_events
  (chip_id, signal, recorded_at, response_time_ms, battery_percent, error_code, movement_count, active_ms)
SELECT
  ($1::text[])[1 + i % cardinality($1::text[])],
  CASE WHEN i % 50 = 0 THEN 'error' ELSE 'movement' END,
  greatest(now() - i * interval '15 minutes' / $2, date_trunc('day', now(), 'UTC')),
  60 + i % 97,
  20 + i % 80,
  CASE WHEN i % 50 = 0 THEN 'E17' END,
  1 + i % 9,
  100 * (1 + i % 31)
FROM generate_series(1, $2) AS i
