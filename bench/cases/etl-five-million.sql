-- $1 chips over $2 days of which the last was $3 days ago, some 17 messages each on a day, in the order in which they would have come: as
-- many rows as a maker with 3,222 devices in use has in a quarter. That each series depends on the one before keeps the
-- planner from another order.
INSERT INTO telemetry_events
  (chip_id, signal, recorded_at, ingested_at, response_time_ms, battery_percent, error_code, movement_count, active_ms)
SELECT
  'chip-' || lpad(to_hex(chip), 8, '0'),
  CASE WHEN noise % 50 = 0 THEN 'error' WHEN noise % 7 = 0 THEN 'status' ELSE 'movement' END,
  moment,
  moment,
  CASE WHEN noise % 7 <> 0 THEN (60 + (noise % 9973) / 17.0)::real END,
  20 + noise % 80,
  CASE WHEN noise % 50 = 0 THEN 'E' || noise % 20 END,
  CASE WHEN noise % 7 <> 0 THEN 1 + noise % 9 END,
  CASE WHEN noise % 7 <> 0 THEN 100 * (1 + noise % 31) END
FROM
  generate_series($3::integer + $2::integer - 1, $3::integer, -1) AS days_ago,
  LATERAL generate_series(0, 17 + 0 * days_ago) AS part,
  LATERAL generate_series(1, $1::integer + 0 * part) AS chip,
  LATERAL (SELECT abs(hashint8(chip::bigint * 100000 + days_ago * 100 + part)::bigint) AS noise) AS noises,
  LATERAL (
    SELECT date_trunc('day', now(), 'UTC') - days_ago * interval '1 day' + part * interval '79 min'
      + (noise % 4700) * interval '1 s' AS moment
  ) AS moments
WHERE noise % 1000 < 958
