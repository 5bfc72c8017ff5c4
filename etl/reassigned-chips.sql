-- Chips of the prostheses whose ownership changed since the last run: the chips they have, and those they had.
--
-- {version} the newest change the last run had seen
-- {since}   shortly before the last run began. Versions do not become visible strictly in order (the rows of a
--           snapshot share one, and tombstones come after them), so what was stored since then is new as well.
WITH
  new_changes AS (
    SELECT key
    FROM cdc.events
    WHERE table = 'public.prostheses' AND key != ''
      AND (version > {version:UInt128} OR ingested_at >= {since:DateTime64(6, 'UTC')})
  ),
  history AS (
    SELECT
      key,
      version,
      version > {version:UInt128} OR ingested_at >= {since:DateTime64(6, 'UTC')} AS is_new,
      JSONExtractString(row, 'chip_id') AS chip_id,
      (
        deleted,
        JSONExtractRaw(row, 'chip_id'),
        JSONExtractRaw(row, 'customer_id'),
        JSONExtractRaw(row, 'model_id'),
        JSONExtractRaw(row, 'issued_at'),
        JSONExtractRaw(row, 'returned_at')
      ) AS ownership
    FROM cdc.events
    WHERE table = 'public.prostheses' AND key IN (SELECT key FROM new_changes)
  ),
  -- A change of anything else, as of the firmware, leaves the ownership as the change before it had it.
  reassigned AS (
    SELECT key, groupUniqArray(chip_id) AS chip_ids
    FROM history
    GROUP BY key
    HAVING NOT (
      countIf(NOT is_new) > 0
      AND uniqExactIf(ownership, is_new) = 1
      AND anyIf(ownership, is_new) = argMaxIf(ownership, version, NOT is_new)
    )
  )
SELECT DISTINCT chip_id AS "chipId"
FROM (
  SELECT arrayJoin(chip_ids) AS chip_id FROM reassigned
  UNION ALL
  -- The log forgets after 400 days; what was loaded for the prosthesis still names the chip it had.
  SELECT chip_id
  FROM reports.user_prosthesis_stats FINAL
  WHERE toString(prosthesis_id) IN (SELECT JSONExtractString(key, 'id') FROM reassigned)
)
WHERE chip_id != ''
