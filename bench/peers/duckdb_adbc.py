"""Telemetry as Arrow over ADBC, everything else in DuckDB."""

import adbc_driver_postgresql.dbapi as postgres
import duckdb

import peer

with postgres.connect(peer.TELEMETRY_URL) as connection, connection.cursor() as cursor:
    cursor.execute(
        "SELECT chip_id, recorded_at, response_time_ms, battery_percent, error_code, movement_count, active_ms"
        f" FROM telemetry_events WHERE recorded_at >= '{peer.SINCE}'"
    )
    telemetry = cursor.fetch_record_batch()
    prostheses = peer.prostheses()
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    rows = duck.execute(
        """
        WITH stats AS (
          SELECT
            chip_id,
            (epoch_us(recorded_at) // 86400000000)::usmallint AS day,
            count(*) AS events,
            count(error_code) AS errors,
            count(error_code) / count(*) AS error_rate,
            avg(response_time_ms) AS response_time_avg_ms,
            quantile_cont(response_time_ms::double, 0.95) AS response_time_p95_ms,
            min(battery_percent) AS battery_min_percent,
            avg(battery_percent) AS battery_avg_percent,
            coalesce(sum(active_ms), 0)::bigint / 60000.0 AS active_minutes,
            coalesce(sum(movement_count), 0)::bigint AS movements
          FROM telemetry
          GROUP BY 1, 2
        )
        SELECT
          user_id, prosthesis_id, day, chip_id, model_id, events, errors, error_rate, response_time_avg_ms,
          response_time_p95_ms, battery_min_percent, battery_avg_percent, active_minutes::double AS active_minutes,
          movements, 1 AS _version, 0 AS _deleted
        FROM stats JOIN prostheses USING (chip_id)
        WHERE day >= issued_day AND day < returned_day
        """
    ).fetch_arrow_table()
peer.load(rows)
peer.report(rows.num_rows)
