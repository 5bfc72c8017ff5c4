-- Rows that have no chip, or a time outside of what is measured, packed: no number can be made of them.
-- {since} as in touched-windows.sql; {corrected} are chips of which all such rows are read, since some were changed
-- or deleted, and {since_without_chip} is true where rows without a chip were.
-- Two readings, as one finds its rows by their partition and the other by their index. In pieces: a value of PostgreSQL
-- holds 1 GB, and so does not hold 30 million of them.
COPY (
  SELECT chip_id, string_agg({packed_row}, '')
  FROM (
    SELECT * FROM telemetry_events
    WHERE chip_id <> '' AND ({since} OR chip_id = ANY ({corrected}::text[]))
      AND (recorded_at < {from} OR recorded_at >= {to})
  ) AS timeless
  GROUP BY chip_id, id / 200000
  UNION ALL
  SELECT '', string_agg({packed_row}, '')
  FROM telemetry_events
  WHERE (chip_id IS NULL OR chip_id = '') AND {since_without_chip}
  GROUP BY id / 200000
) TO STDOUT (FORMAT binary)
