-- All rows of a stretch of time, packed, a row for each chip: reads a partition from beginning to end.
COPY (
  SELECT coalesce(chip_id, ''), string_agg({packed_row}, '')
  FROM telemetry_events
  WHERE recorded_at >= {from} AND recorded_at < {to}
  GROUP BY chip_id
) TO STDOUT (FORMAT binary)
