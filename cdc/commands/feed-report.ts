import type { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import { readPosition } from '../changes/positions.ts'
import { deriveReplica, type ReplicaTable, replicaTableName } from '../derive/derive-table.ts'
import { cdcErrors } from '../errors.ts'
import type { KafkaReport } from '../kafka/kafka-report.ts'
import type { RegistryEntry } from '../registry.ts'
import { formatLsn } from '../source/lsn.ts'
import { lookUpTables, rowsOf, type SourceTable } from '../source/source-catalog.ts'
import type { SourceIdentity } from '../source/start-plan.ts'

const slotRow = z.object({
  active: z.boolean(),
  wal_status: z.string().nullable(),
  confirmed_lsn: z.string().nullable(),
  behind_bytes: z.coerce.number().nullable(),
  /** How much more WAL the slot may hold back; null when there is no limit. */
  spare_bytes: z.coerce.number().nullable(),
})

const slotSql = `
SELECT active, wal_status, confirmed_flush_lsn::text AS confirmed_lsn,
  pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) AS behind_bytes, safe_wal_size AS spare_bytes
FROM pg_replication_slots WHERE slot_name = $1`

const position = defineQuery({
  name: 'cdc-status-position',
  sql: `
    SELECT toString(version) AS version, committed_at, stored_at,
      dateDiff('millisecond', stored_at, now64(6)) / 1000 AS age_seconds
    FROM cdc.positions FINAL WHERE feed = {feed:String}`,
  params: z.object({ feed: z.string() }),
  row: z.object({
    version: z.string(),
    committed_at: z.iso.datetime(),
    stored_at: z.iso.datetime(),
    age_seconds: z.number(),
  }),
})

const snapshots = defineQuery({
  name: 'cdc-status-snapshots',
  sql: `SELECT table, finished_at FROM cdc.snapshots FINAL WHERE membership != ''`,
  params: z.object({}),
  row: z.object({ table: z.string(), finished_at: z.iso.datetime() }),
})

const letters = defineQuery({
  name: 'cdc-status-dead-letters',
  sql: 'SELECT table, toUInt32(count()) AS dead_letters FROM cdc.dead_letters FINAL GROUP BY table',
  params: z.object({}),
  row: z.object({ table: z.string(), dead_letters: z.int() }),
})

const lastChange = defineQuery({
  name: 'cdc-status-last-change',
  sql: `SELECT toString(max(committed_at)) AS committed_at, count() > 0 AS found FROM cdc.events WHERE table = {table:String}`,
  params: z.object({ table: z.string() }),
  row: z.object({ committed_at: z.string(), found: z.coerce.boolean() }),
})

export type TableReport = {
  table: string
  /** When it was read whole; null while it has not been. */
  snapshot_at: string | null
  rows: number | null
  last_change_at: string | null
  dead_letters: number
}

export type FeedReport = {
  slot: z.infer<typeof slotRow> | null
  position: z.infer<typeof position.row> | null
  tables: TableReport[]
  /** Absent when the WAL is read in process. */
  kafka?: KafkaReport
  problems: { code: string; detail: string }[]
  /** What would make things better, though nothing is wrong. */
  advice: string[]
}

/** How a feed is doing, from outside: its slot at the source, and what it left in the warehouse. */
export async function readFeedReport(options: {
  source: pg.Client
  warehouse: Warehouse
  slotName: string
  entries: readonly RegistryEntry[]
  identity: SourceIdentity
}): Promise<FeedReport> {
  const { source, warehouse, slotName, entries, identity } = options
  const [slot] = await rowsOf(source, slotRow, slotSql, [slotName])
  const [stored] = await warehouse.query(position, { feed: slotName })
  const { tables, problems } = await lookUpTables(source, entries)
  const replicas = tables.map(deriveReplica)
  const reports = await readTableReports(warehouse, replicas)
  const found = [
    ...problems,
    ...replicas.flatMap((replica) => replica.problems),
    ...(await historyProblems(warehouse, slotName, identity)),
    ...(stored ? reports.flatMap(unreadProblem) : []),
  ]
  if (slot?.wal_status === 'lost') found.push(cdcErrors.slotLost(`The slot ${slotName} has lost its WAL.`))
  return {
    slot: slot ?? null,
    position: stored ?? null,
    tables: reports,
    problems: found.map(({ code, message }) => ({ code, detail: message })),
    advice: [...slotAdvice(slot), ...tables.flatMap(identityAdvice)],
  }
}

async function readTableReports(warehouse: Warehouse, replicas: ReplicaTable[]): Promise<TableReport[]> {
  const finished = new Map((await warehouse.query(snapshots, {})).map((row) => [row.table, row.finished_at]))
  const dead = new Map((await warehouse.query(letters, {})).map((row) => [row.table, row.dead_letters]))
  const reports = replicas.map(async (replica): Promise<TableReport> => {
    const table = replica.source.qualifiedName
    const [change] = await warehouse.query(lastChange, { table })
    return {
      table,
      snapshot_at: finished.get(table) ?? null,
      rows: finished.has(table) ? await countRows(warehouse, replica) : null,
      last_change_at: change?.found ? change.committed_at : null,
      dead_letters: dead.get(table) ?? 0,
    }
  })
  return Promise.all(reports)
}

async function countRows(warehouse: Warehouse, replica: ReplicaTable): Promise<number> {
  const query = defineQuery({
    name: 'cdc-status-rows',
    sql: `SELECT count() AS n FROM ${replicaTableName(replica)} FINAL`,
    params: z.object({}),
    row: z.object({ n: z.coerce.number() }),
  })
  const [row] = await warehouse.query(query, {})
  return row!.n
}

/** Once the feed runs, it reads such a table by itself. */
function unreadProblem({ table, snapshot_at }: TableReport): TendonError[] {
  if (snapshot_at !== null) return []
  return [
    cdcErrors.schemaChanged(
      `${table} is new or has another shape, and was not read whole yet; until then its replica stays as it was.`,
    ),
  ]
}

async function historyProblems(warehouse: Warehouse, slotName: string, identity: SourceIdentity) {
  const stored = await readPosition(warehouse, slotName)
  if (!stored) return []
  const { lsn, history } = stored
  const { systemIdentifier, timeline } = history
  if (systemIdentifier !== identity.systemIdentifier) {
    return [cdcErrors.sourceChanged('The CRM database is another cluster than the one that was read.')]
  }
  if (timeline !== identity.timeline) {
    return [
      cdcErrors.sourceChanged(`The CRM database went from timeline ${timeline} to ${identity.timeline}.`),
    ]
  }
  if (identity.walEnd < lsn) {
    return [cdcErrors.sourceChanged(`The CRM database went back, to before ${formatLsn(lsn)}.`)]
  }
  return []
}

function slotAdvice(slot: z.infer<typeof slotRow> | undefined): string[] {
  if (!slot || slot.spare_bytes !== null) return []
  return [
    'max_slot_wal_keep_size is not set at the source: while the feed is away, WAL is kept until the disk is full.',
  ]
}

/** Under the default identity, large values that an UPDATE leaves alone have to be looked up in the log. */
function identityAdvice({ qualifiedName, columns, replicaIdentity }: SourceTable): string[] {
  const large = columns.filter(
    ({ type }) => type.name === 'jsonb' || type.name === 'bytea' || type.name === 'array',
  )
  if (replicaIdentity === 'full' || large.length < 3) return []
  return [
    `${qualifiedName} has ${large.length} columns that may be kept out of line; if they are large and often left alone, ` +
      'ALTER TABLE … REPLICA IDENTITY FULL saves the look-ups, for more WAL.',
  ]
}
