-- Rows that have no chip, or a time that no day can be made of, packed, with what is wrong with them.
-- {since} as in touched-windows.sql. Where everything is read, rows without a chip come with the others ({or_no_chip}).
COPY (
  SELECT CASE WHEN chip_id <> '' THEN chip_id ELSE '' END, string_agg({packed_row}, '')
  FROM telemetry_events
  WHERE {since} AND (recorded_at < {from} OR recorded_at >= {to} {or_no_chip})
  GROUP BY 1
) TO STDOUT (FORMAT binary)
