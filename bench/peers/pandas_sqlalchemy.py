"""The DAG as it is commonly written: SQLAlchemy reads what a GROUP BY comes to, pandas joins it and writes it."""

import os

import pandas as pd
import pyarrow as pa
from sqlalchemy import create_engine, text

import peer

engine = create_engine(peer.TELEMETRY_URL.replace("postgresql://", "postgresql+psycopg2://"))
with engine.connect() as connection:
    work_mem = os.environ.get("BENCH_WORK_MEM")
    if work_mem:
        connection.execute(text(f"SET work_mem = '{work_mem}'"))
    stats = pd.read_sql(
        text(
            f"SELECT chip_id, (recorded_at AT TIME ZONE 'UTC')::date AS day, {peer.MEASURES}"
            f" FROM telemetry_events WHERE recorded_at >= '{peer.SINCE}' GROUP BY 1, 2"
        ),
        connection,
    )

stats["day"] = (pd.to_datetime(stats["day"]) - pd.Timestamp(0)).dt.days
merged = stats.merge(peer.prostheses().to_pandas(), on="chip_id")
owned = merged[(merged.day >= merged.issued_day) & (merged.day < merged.returned_day)]
rows = owned.drop(columns=["issued_day", "returned_day"]).assign(_version=1, _deleted=0)
rows["day"] = rows["day"].astype("uint16")
peer.load(pa.Table.from_pandas(rows, preserve_index=False))
peer.report(len(rows))
