-- The (chip, day) pairs to measure again, a row for each UTC day. It runs twice: for the rows that a transaction at
-- or above the last watermark stored, while the CRM is read; and then for every day of the chips whose ownership
-- changed.
--
-- $1 the watermark: xmin of the snapshot of the last run that succeeded. Every transaction below it had ended
--    then, so its rows were seen; the rows of all others come now, however long they were open. A timestamp
--    cannot tell this: a row gets its time when its transaction begins, and is seen when it commits. Null for no
--    row by its transaction
-- $2 the chips of which every day is measured again
--
-- `day` is null for rows whose time no Date of ClickHouse can hold (1970-01-01 to 2149-06-06): a device's clock
-- gone wrong. They are listed and not measured.
SELECT day, array_agg(chip_id) AS "chipIds"
FROM (
  -- DISTINCT here hashes, where array_agg(DISTINCT …) would sort every row: 0.4 s instead of 0.7 s per million.
  SELECT DISTINCT
    chip_id,
    CASE
      WHEN recorded_at >= '1970-01-01 00:00Z' AND recorded_at < '2149-06-07 00:00Z'
        THEN (recorded_at AT TIME ZONE 'UTC')::date - DATE '1970-01-01'
    END AS day
  FROM telemetry_events
  WHERE ingest_xid >= $1::xid8 OR chip_id = ANY ($2::text[])
) AS pairs
GROUP BY day
