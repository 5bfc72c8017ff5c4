-- The rows of some chips and stretches of time, packed, a row for each stretch: reads by the index of chip and time.
-- The subquery is not joined but asked for each stretch (OFFSET 0): no estimate of how many there are can make the
-- planner read everything instead. {from} and {to} hold all stretches: each stretch looks at every partition that is in
-- the plan, and 3,222 of them took 0.85 s on 361 partitions where they took 0.25 s on 91.
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
      AND recorded_at >= {from} AND recorded_at < {to}
    OFFSET 0
  ) AS rows
  WHERE rows.packed IS NOT NULL
) TO STDOUT (FORMAT binary)
