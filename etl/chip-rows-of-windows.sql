-- The rows of some chips and stretches of time, packed, a row for each stretch: reads by the index of chip and time.
-- The subquery is not joined but asked for each stretch (OFFSET 0): no estimate of how many there are can make the
-- planner read everything instead.
COPY (
  SELECT windows.chip_id, rows.packed
  FROM (
    SELECT
      unnest({chips}::text[]) AS chip_id,
      unnest({froms}::timestamptz[]) AS from_at,
      unnest({tos}::timestamptz[]) AS to_at
  ) AS windows
  CROSS JOIN LATERAL (
    SELECT string_agg({packed_row}, '') AS packed
    FROM telemetry_events
    WHERE chip_id = windows.chip_id AND recorded_at >= windows.from_at AND recorded_at < windows.to_at
    OFFSET 0
  ) AS rows
  WHERE rows.packed IS NOT NULL
) TO STDOUT (FORMAT binary)
