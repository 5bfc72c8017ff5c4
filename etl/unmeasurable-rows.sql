-- Rows that have no chip, or a time outside of what is measured, packed: no number can be made of them.
-- {since} as in touched-windows.sql; {corrected} are chips of which all such rows are read, since some were changed
-- or deleted. Where everything is read, rows without a chip come with the others, and not from here ({or_no_chip}).
COPY (
  SELECT CASE WHEN chip_id <> '' THEN chip_id ELSE '' END, string_agg({packed_row}, '')
  FROM telemetry_events
  WHERE ({since} OR chip_id = ANY ({corrected}::text[])) AND (recorded_at < {from} OR recorded_at >= {to} {or_no_chip})
  GROUP BY 1
) TO STDOUT (FORMAT binary)
