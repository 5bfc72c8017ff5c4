-- Where telemetry is new since the last run: first and last time of each chip's new rows of a UTC day. Nothing is
-- measured here: the days that hold these times are measured whole.
--
-- {since} is a condition on when a row was stored (source-traits.ts). By transaction ids it is exact: every
-- transaction below the last watermark had ended in the last run's snapshot, and what it stored was seen; the rows of
-- all others come now, however long they were open. A time cannot tell this: a row gets its time when its transaction
-- begins, and is seen when it commits.
-- Rows without a chip, under an empty one, and of times that are not measured are among them: that there are any is
-- found by the same look at all partitions, whose number is what this costs.
-- {corrections} adds the days on which rows were changed or deleted; {chips} those of which every day is measured.
-- Who asks measures everything when there are {most}: no more are sent.
COPY (
  SELECT coalesce(chip_id, ''), min(recorded_at), max(recorded_at)
  FROM telemetry_events
  WHERE {since}
  GROUP BY chip_id, date_bin('1 day', recorded_at, '2000-01-01 00:00Z')
  {corrections}
  {chips}
  LIMIT {most}
) TO STDOUT (FORMAT binary)
