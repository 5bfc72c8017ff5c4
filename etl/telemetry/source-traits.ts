import type { ClientBase } from 'pg'
import { etlErrors } from '../errors.ts'

/** What the telemetry database is, as far as a run must know. */
export type SourceTraits = {
  /** Cluster, timeline, database and table: a watermark of another one means nothing here. */
  source: string
  /** By what a run knows which rows are new. */
  watermarkKind: 'xid' | 'timestamp'
  /** Whether changed and deleted rows are noted (sources/telemetry/schema.sql). */
  hasCorrections: boolean
  /** Whether the table is partitioned by time, so that a stretch of time can be read by itself. */
  isPartitioned: boolean
}

/**
 * The timeline is read from the name of the WAL file, which shows a restored or promoted server at once; a standby has
 * none of its own, and shows the one it follows after its next checkpoint.
 */
const traitsSql = `
  SELECT
    concat_ws(
      '/',
      (SELECT system_identifier FROM pg_control_system()),
      CASE
        WHEN pg_is_in_recovery() THEN (SELECT lpad(to_hex(timeline_id), 8, '0') FROM pg_control_checkpoint())
        ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8)
      END,
      (SELECT oid FROM pg_database WHERE datname = current_database()),
      events.oid
    ) AS source,
    (SELECT format_type(atttypid, NULL) FROM pg_attribute
      WHERE attrelid = events.oid AND attname = 'ingest_xid' AND NOT attisdropped) AS "xidType",
    EXISTS (SELECT FROM pg_attribute
      WHERE attrelid = events.oid AND attname = 'ingested_at' AND NOT attisdropped) AS "hasIngestedAt",
    to_regclass('telemetry_corrections') IS NOT NULL AS "hasCorrections",
    events.relkind = 'p' AS "isPartitioned"
  FROM pg_class AS events
  WHERE events.oid = to_regclass('telemetry_events')`

export async function readSourceTraits(client: ClientBase): Promise<SourceTraits> {
  const { rows } = await client.query<{
    source: string
    xidType: string | null
    hasIngestedAt: boolean
    hasCorrections: boolean
    isPartitioned: boolean
  }>(traitsSql)
  const [found] = rows
  if (!found) throw etlErrors.sourceUnfit('The telemetry database has no table telemetry_events.')
  const { source, xidType, hasCorrections, isPartitioned } = found
  if (!found.hasIngestedAt) {
    throw etlErrors.sourceUnfit(
      'telemetry_events has no ingested_at (timestamptz): whether a clock was ahead, and without ingest_xid what is new, cannot be told.',
    )
  }
  return {
    source,
    watermarkKind: xidType === 'xid8' ? 'xid' : 'timestamp',
    hasCorrections: hasCorrections && xidType === 'xid8',
    isPartitioned,
  }
}
