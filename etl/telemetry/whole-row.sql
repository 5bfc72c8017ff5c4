-- A telemetry row as 36 bytes, big-endian, in which packed-rows.ts reads it. What is null has a value that no column
-- can hold otherwise, but for a response time, whose null is a NaN of other bits than PostgreSQL's.
--
--   0  int8    recorded_at, microseconds since 2000
--   8  float4  response_time_ms
--  12  int4    movement_count
--  16  int4    active_ms
--  20  int8    id
--  28  int4    hash of the signal: two rows of a chip with the same time and signal are one message
--  32  int2    battery_percent
--  34  int2    1 when it has an error code; 2 when it was recorded long after it was stored
--
-- Sent row by row the same columns cost as much again in this process, a message each; sent as arrays twice as much
-- in PostgreSQL.
timestamptz_send(recorded_at)
|| coalesce(float4send(response_time_ms), '\xffffffff')
|| int8send(
  (coalesce(movement_count, -2147483648)::int8 << 32) | (coalesce(active_ms, -2147483648)::int8 & 4294967295)
)
|| int8send(id)
|| int8send(
  (hashtext(signal)::int8 << 32)
  | ((coalesce(battery_percent, -32768)::int8 & 65535) << 16)
  | (CASE WHEN error_code IS NULL THEN 0 ELSE 1 END)
  | (CASE WHEN recorded_at > ingested_at + {may_be_ahead} THEN 2 ELSE 0 END)
)
