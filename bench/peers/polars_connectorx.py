"""Telemetry by connectorx on two connections, everything else in Polars."""

import polars as pl

import peer

day = "(extract(epoch FROM recorded_at)::int8 / 86400)::int4"
since = f"recorded_at >= '{peer.SINCE}'"
# Where half of the rows lie before, by the planner's statistics: min and max would read the whole table.
middle = pl.read_database_uri(
    "SELECT bounds[array_length(bounds, 1) / 2] AS middle FROM ("
    " SELECT histogram_bounds::text::timestamptz[] AS bounds FROM pg_stats"
    " WHERE tablename = 'telemetry_events' AND attname = 'recorded_at' AND inherited"
    ") AS planner",
    peer.TELEMETRY_URL,
).item()
# By ranges of the column itself each connection reads its partitions alone. What connectorx makes of partition_on is a
# condition on an expression, by which PostgreSQL leaves none out, so that both read everything.
telemetry = pl.read_database_uri(
    [
        f"SELECT chip_id, {day} AS day, response_time_ms, battery_percent, error_code IS NOT NULL AS is_error,"
        f" movement_count, active_ms FROM telemetry_events WHERE {since} AND recorded_at {half} '{middle.isoformat()}'"
        for half in ("<", ">=")
    ],
    peer.TELEMETRY_URL,
)
response = pl.col("response_time_ms").cast(pl.Float64)
stats = telemetry.group_by("chip_id", "day").agg(
    events=pl.len(),
    errors=pl.col("is_error").sum(),
    error_rate=pl.col("is_error").mean(),
    response_time_avg_ms=response.mean(),
    response_time_p95_ms=response.quantile(0.95, "linear"),
    battery_min_percent=pl.col("battery_percent").min(),
    battery_avg_percent=pl.col("battery_percent").mean(),
    active_minutes=pl.col("active_ms").sum() / 60000,
    movements=pl.col("movement_count").cast(pl.Int64).sum(),
)
rows = (
    stats.join(pl.from_arrow(peer.prostheses()), on="chip_id")
    .filter((pl.col("day") >= pl.col("issued_day")) & (pl.col("day") < pl.col("returned_day")))
    .drop("issued_day", "returned_day")
    .with_columns(pl.col("day").cast(pl.UInt16), _version=pl.lit(1), _deleted=pl.lit(0))
)
peer.load(rows.to_arrow())
peer.report(rows.height)
