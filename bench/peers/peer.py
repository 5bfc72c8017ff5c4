"""What the peers share: where things are, how rows go into ClickHouse, and what a process has cost."""

import json
import os
import resource
import time
import urllib.parse
import urllib.request

import pyarrow as pa

TELEMETRY_URL = os.environ["TELEMETRY_DATABASE_URL"]
CLICKHOUSE_URL = os.environ["CLICKHOUSE_URL"]
TABLE = os.environ["BENCH_TABLE"]
# From when telemetry counts: everything, or this day.
SINCE = os.environ.get("BENCH_SINCE", "2000-01-01")

MEASURES = """
  count(*) AS events,
  count(error_code) AS errors,
  count(error_code)::float8 / count(*) AS error_rate,
  avg(response_time_ms) AS response_time_avg_ms,
  percentile_cont(0.95) WITHIN GROUP (ORDER BY response_time_ms) AS response_time_p95_ms,
  min(battery_percent) AS battery_min_percent,
  avg(battery_percent)::float8 AS battery_avg_percent,
  coalesce(sum(active_ms), 0) / 60000.0::float8 AS active_minutes,
  coalesce(sum(movement_count), 0)::int8 AS movements
"""


def clickhouse(sql: str, body: bytes = b"") -> bytes:
    url = f"{CLICKHOUSE_URL}/?" + urllib.parse.urlencode({"query": sql})
    request = urllib.request.Request(url, data=body or None, method="POST")
    request.add_header("X-ClickHouse-User", os.environ["CLICKHOUSE_USER"])
    request.add_header("X-ClickHouse-Key", os.environ["CLICKHOUSE_PASSWORD"])
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def prostheses() -> pa.Table:
    """The CRM, in one round trip."""
    rows = clickhouse(
        "SELECT toString(id) AS prosthesis_id, toString(customer_id) AS user_id, chip_id, model_id,"
        " toInt32(issued_at) AS issued_day, ifNull(toInt32(returned_at), 2147483647) AS returned_day"
        " FROM crm.prostheses FINAL FORMAT JSONColumns"
    )
    return pa.table(json.loads(rows))


def load(table: pa.Table) -> None:
    """All rows in one insert of Arrow, which is the fastest way in."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    clickhouse(f"INSERT INTO {TABLE} FORMAT ArrowStream", sink.getvalue().to_pybytes())


STARTED = time.perf_counter()


def report(rows: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "rows": rows,
                "seconds": time.perf_counter() - STARTED,
                "cpu_seconds": used.ru_utime + used.ru_stime,
                "max_rss_mb": used.ru_maxrss / 1024,
            }
        )
    )
