-- All rows of a stretch of time that have a chip, packed, a row for each chip: reads partitions from beginning to end.
COPY (
  SELECT chip_id, string_agg({packed_row}, '')
  FROM telemetry_events
  WHERE recorded_at >= {from} AND recorded_at < {to}
    AND chip_id <> ''
  GROUP BY chip_id
) TO STDOUT (FORMAT binary)
