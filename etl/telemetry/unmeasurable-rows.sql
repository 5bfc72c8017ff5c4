-- Rows that have no chip, or a time that may be outside of what is measured, packed: no number can be made of them. What
-- was stored before {first_day} is history that was measured then, and nothing is wrong with it.
-- {since} as in touched-windows.sql; {corrected} are chips of which all such rows are read, since some were changed
-- or deleted, and {since_without_chip} is true where rows without a chip were.
-- Two readings, as one finds its rows by their partition and the other by their index. In slices of ids, one after the
-- other, so that nobody has to hold them all.
COPY (
  SELECT slice::text, chip_id, rows
  FROM (
    SELECT id >> {slice_bits} AS slice, chip_id, string_agg({packed_row}, '') AS rows
    FROM (
      SELECT * FROM telemetry_events
      WHERE chip_id <> '' AND ({since} OR chip_id = ANY ({corrected}::text[]))
        AND (recorded_at < {from} AND (ingested_at < {first_day}) IS NOT TRUE OR recorded_at >= {to})
    ) AS timeless
    GROUP BY id >> {slice_bits}, chip_id
    UNION ALL
    SELECT id >> {slice_bits}, '', string_agg({packed_row}, '')
    FROM telemetry_events
    WHERE (chip_id IS NULL OR chip_id = '') AND {since_without_chip}
    GROUP BY id >> {slice_bits}
  ) AS unmeasurable
  ORDER BY unmeasurable.slice
) TO STDOUT (FORMAT binary)
