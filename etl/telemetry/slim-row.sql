-- A telemetry row as 20 bytes, big-endian, in which packed-rows.ts reads it: what a sound row counts with. It costs
-- PostgreSQL two thirds of a whole one (whole-row.sql), whose id and signal it lacks. No active time and no movements
-- are 0 here: both are only added up.
--
--   0  int8    recorded_at, microseconds since 2000
--   8  float4  response_time_ms; null is a NaN of other bits than PostgreSQL's
--  12  int4    active_ms, 24 bits
--  16  int4    bits 18 to 30: movement_count; 2 to 17: battery_percent, of which -32768 is null;
--              bit 1: does not fit, or was recorded long after it was stored: the rest means nothing;
--              bit 0: has an error code
timestamptz_send(recorded_at)
|| coalesce(float4send(response_time_ms), '\xffffffff')
|| int8send(
  CASE
    WHEN (coalesce(movement_count, 0) & -8192) | (coalesce(active_ms, 0) & -16777216) <> 0
      OR (recorded_at > ingested_at AND recorded_at > ingested_at + {may_be_ahead})
    THEN 2
    ELSE
      (coalesce(active_ms, 0)::int8 << 32)
      | (
        (coalesce(movement_count, 0) << 18)
        | ((coalesce(battery_percent, -32768) & 65535) << 2)
        | (CASE WHEN error_code IS NULL THEN 0 ELSE 1 END)
      )::int8
  END
)
