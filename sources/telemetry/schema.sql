-- What the devices send. Everything may be run again: nothing here changes what is there.

CREATE TABLE IF NOT EXISTS telemetry_events (
  id               bigint GENERATED ALWAYS AS IDENTITY,
  chip_id          text,
  signal           text NOT NULL,
  recorded_at      timestamptz NOT NULL,
  ingested_at      timestamptz NOT NULL DEFAULT now(),
  response_time_ms real,
  battery_percent  smallint,
  error_code       text,
  movement_count   integer,
  active_ms        integer,
  ingest_xid       xid8 NOT NULL DEFAULT pg_current_xact_id()
) PARTITION BY RANGE (recorded_at);

-- A message is stored as it came, whatever it says: refused, nobody would ever see it. What makes no sense is put into
-- quarantine by the job that measures. Tables of earlier versions were stricter.
ALTER TABLE telemetry_events
  ALTER COLUMN chip_id DROP NOT NULL,
  DROP CONSTRAINT IF EXISTS telemetry_events_response_time_ms_check,
  DROP CONSTRAINT IF EXISTS telemetry_events_battery_percent_check,
  DROP CONSTRAINT IF EXISTS telemetry_events_movement_count_check,
  DROP CONSTRAINT IF EXISTS telemetry_events_active_ms_check;

-- Indexes of the parent are made on every partition, those to come included.
CREATE INDEX IF NOT EXISTS telemetry_events_ingest_xid ON telemetry_events (ingest_xid);
CREATE INDEX IF NOT EXISTS telemetry_events_chip_id_recorded_at ON telemetry_events (chip_id, recorded_at);

COMMENT ON TABLE telemetry_events IS 'Messages of the devices as they came, a partition a week of recorded_at, from Monday 00:00 UTC. What is changed or deleted all the same is noted in telemetry_corrections.';
COMMENT ON COLUMN telemetry_events.id IS 'Order of arrival, with gaps. No key: a partition is read whole or by its indexes.';
COMMENT ON COLUMN telemetry_events.chip_id IS 'Which device: prostheses.chip_id of the CRM; absent when the message does not say.';
COMMENT ON COLUMN telemetry_events.signal IS 'What the message is: movement, status or error.';
COMMENT ON COLUMN telemetry_events.recorded_at IS 'When the device measured it. May be days before it arrived.';
COMMENT ON COLUMN telemetry_events.ingested_at IS 'When the transaction that stored it began: for people. A reader that must miss nothing goes by ingest_xid.';
COMMENT ON COLUMN telemetry_events.response_time_ms IS 'From muscle signal to start of movement, average of the message''s movements, in milliseconds; absent without movement.';
COMMENT ON COLUMN telemetry_events.battery_percent IS 'Charge of the battery, 0 to 100; absent when it could not be read.';
COMMENT ON COLUMN telemetry_events.error_code IS 'Firmware''s code of the fault; absent when all is well.';
COMMENT ON COLUMN telemetry_events.movement_count IS 'Movements since the message before; absent in messages that carry no movement.';
COMMENT ON COLUMN telemetry_events.active_ms IS 'How long motors ran since the message before, in milliseconds.';
COMMENT ON COLUMN telemetry_events.ingest_xid IS 'Transaction that stored the row. All rows below a snapshot''s xmin are committed or gone for ever, so a reader that takes those misses none.';

-- Takes what no other partition covers, so that no message is refused.
CREATE TABLE IF NOT EXISTS telemetry_events_default PARTITION OF telemetry_events DEFAULT;

COMMENT ON TABLE telemetry_events_default IS 'Messages of weeks without a partition of their own: clocks gone wrong, or partitions not made in time.';

-- A week, because who looks for new rows looks into every partition: of days there are 1,826 in five years.
-- What another partition covers of a week stays there, a day of earlier versions, say; the gaps get one each.
CREATE OR REPLACE FUNCTION ensure_telemetry_partitions(from_day date, to_day date) RETURNS integer
LANGUAGE plpgsql SET TimeZone TO 'UTC' SET DateStyle TO 'ISO' AS $$
DECLARE
  gap tstzrange;
  created integer := 0;
  partition_name text;
BEGIN
  -- One at a time: two callers would both find the partition missing.
  PERFORM pg_advisory_xact_lock(hashtext('ensure_telemetry_partitions'));
  FOR gap IN
    WITH weeks AS (
      SELECT tstzrange(monday, monday + interval '7 days') AS week
      FROM generate_series(date_trunc('week', from_day::timestamptz), to_day::timestamptz, interval '7 days') AS monday
    ), bounds AS (
      SELECT regexp_match(pg_get_expr(relpartbound, oid), 'FROM \((.+)\) TO \((.+)\)') AS bound
      FROM pg_class
      WHERE oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'telemetry_events'::regclass)
    ), covered AS (
      SELECT coalesce(
        range_agg(tstzrange(
          CASE bound[1] WHEN 'MINVALUE' THEN NULL ELSE trim('''' FROM bound[1])::timestamptz END,
          CASE bound[2] WHEN 'MAXVALUE' THEN NULL ELSE trim('''' FROM bound[2])::timestamptz END
        )),
        '{}'
      ) AS times
      FROM bounds WHERE bound IS NOT NULL
    ), detached AS (
      -- A day of an earlier version keeps its name, its rows and its place.
      SELECT coalesce(range_agg(tstzrange(day, day + interval '1 day')), '{}') AS times
      FROM weeks, generate_series(lower(week), upper(week) - interval '1 day', interval '1 day') AS day
      WHERE to_regclass('telemetry_events_' || to_char(day, 'YYYYMMDD')) IS NOT NULL
    )
    SELECT unnest(tstzmultirange(week) - covered.times - detached.times) FROM weeks, covered, detached ORDER BY 1
  LOOP
    partition_name := format(
      'telemetry_events_%s_%s',
      to_char(lower(gap), 'YYYYMMDD'),
      to_char(upper(gap) - interval '1 microsecond', 'YYYYMMDD')
    );
    -- One that was detached keeps its name and its rows.
    CONTINUE WHEN to_regclass(partition_name) IS NOT NULL;
    -- Made aside and then attached: CREATE TABLE … PARTITION OF fails while the default partition holds rows of
    -- that time, so they are moved first, with ids and ingest_xid as they are. The lock keeps new ones out.
    LOCK TABLE telemetry_events_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE telemetry_events INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY)',
                   partition_name);
    EXECUTE format(
      'WITH moved AS (DELETE FROM telemetry_events_default WHERE recorded_at >= $1 AND recorded_at < $2 RETURNING *)
       INSERT INTO %I SELECT * FROM moved', partition_name) USING lower(gap), upper(gap);
    EXECUTE format('ALTER TABLE telemetry_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   partition_name, lower(gap), upper(gap));
    created := created + 1;
  END LOOP;
  RETURN created;
END
$$;

COMMENT ON FUNCTION ensure_telemetry_partitions(date, date) IS 'Makes the partitions that are missing of the weeks of these UTC days, both included; returns how many it made.';

-- A reader that goes by ingest_xid sees what is added. This is how it sees the rest.
CREATE TABLE IF NOT EXISTS telemetry_corrections (
  xid     xid8 NOT NULL DEFAULT pg_current_xact_id(),
  chip_id text NOT NULL,
  day     date NOT NULL,
  PRIMARY KEY (xid, chip_id, day)
);

COMMENT ON TABLE telemetry_corrections IS 'Where telemetry rows were changed or deleted. May be emptied of what every reader has seen. TRUNCATE and the dropping of a partition are not noted: they are how old telemetry is forgotten.';
COMMENT ON COLUMN telemetry_corrections.xid IS 'Transaction that did it.';
COMMENT ON COLUMN telemetry_corrections.chip_id IS 'Device of the row; empty where the row did not say.';
COMMENT ON COLUMN telemetry_corrections.day IS 'UTC day of the row; infinite where its time was.';

CREATE OR REPLACE FUNCTION note_telemetry_correction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO telemetry_corrections (chip_id, day)
  VALUES (coalesce(OLD.chip_id, ''), (OLD.recorded_at AT TIME ZONE 'UTC')::date) ON CONFLICT DO NOTHING;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  -- The row as it is now is new to every reader.
  NEW.ingest_xid := pg_current_xact_id();
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION note_telemetry_correction() IS 'Notes where a row was, and marks it as new where it is.';

CREATE OR REPLACE TRIGGER telemetry_events_note_correction
  BEFORE UPDATE OR DELETE ON telemetry_events
  FOR EACH ROW EXECUTE FUNCTION note_telemetry_correction();
