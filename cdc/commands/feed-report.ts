import type { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import { isNewest } from '../changes/kept-letters.ts'
import { readPosition } from '../changes/positions.ts'
import { lookUpCarried } from '../derive/catalog.ts'
import { deriveReplica, type ReplicaTable, replicaTableName } from '../derive/derive-table.ts'
import { readMissing } from '../derive/missing-replicas.ts'
import { readMemberships, readPublication } from '../derive/publication-members.ts'
import { undeclaredTables } from '../derive/take-out.ts'
import { cdcErrors } from '../errors.ts'
import { readIdentity } from '../kafka/connector-history.ts'
import { type KafkaReport, readKafkaReport } from '../kafka/kafka-report.ts'
import type { KafkaConfig } from '../options.ts'
import type { RegistryEntry } from '../registry.ts'
import { isAtEnd } from '../source/lsn.ts'
import { readRoomProblem, readSlot } from '../source/replication-slot.ts'
import { rowsOf } from '../source/rows-of.ts'
import type { SourceTable } from '../source/source-catalog.ts'
import { readWalEnd } from '../source/source-position.ts'
import { planStart, type Slot, type SourceIdentity } from '../source/start-plan.ts'
import { readUnreadable } from '../source/unreadable.ts'
import { readTellingProblems } from '../telling/telling-notes.ts'
import { readUsersProblem } from '../telling/users-problem.ts'
import { isOtherPublication } from '../whole-tables/unread-tables.ts'
import { readLateness } from './lateness.ts'
import { type Problem, problemOf } from './problem.ts'
import { identityAdvice, slotAdvice } from './source-advice.ts'

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
  sql: `SELECT table, toUInt32(count()) AS dead_letters FROM cdc.dead_letters FINAL WHERE ${isNewest} GROUP BY table`,
  params: z.object({}),
  row: z.object({ table: z.string(), dead_letters: z.int() }),
})

const lastChange = defineQuery({
  name: 'cdc-status-last-change',
  sql: 'SELECT max(committed_at) AS committed_at, count() > 0 AS found FROM cdc.events WHERE table = {table:String}',
  params: z.object({ table: z.string() }),
  row: z.object({ committed_at: z.iso.datetime(), found: z.coerce.boolean() }),
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
  /** Which cluster the CRM is, and its history; another one than the feed has read is a problem. */
  source: { system_identifier: string; timeline: number }
  slot: z.infer<typeof slotRow> | null
  position:
    | (z.infer<typeof position.row> & {
        /**
         * 0 where everything can be read that was committed when the report was begun. Else how long ago, by the source's
         * clock, it committed the newest change that can be read: what cannot be read yet was committed later.
         */
        late_at_most_seconds: number
      })
    | null
  tables: TableReport[]
  /** Also those of tables that are not carried (any more), by name, and of none: messages that nobody can read. */
  dead_letters: { total: number; of_no_table: number; of_others: Record<string, number> }
  /** Absent when the WAL is read in process. */
  kafka?: KafkaReport
  problems: Problem[]
  /** What would make things better, though nothing is wrong. */
  advice: string[]
}

type ReportOptions = {
  source: pg.Client
  warehouse: Warehouse
  slotName: string
  publicationName: string
  entries: readonly RegistryEntry[]
  crmDatabaseUrl: string
  /** undefined when the WAL is read in process */
  kafkaConfig?: KafkaConfig | undefined
  log: Log
}

/** How a feed is doing, from outside: its slot at the source, and what it left in the warehouse. */
export async function readFeedReport(options: ReportOptions): Promise<FeedReport> {
  const { source, warehouse, slotName, entries, kafkaConfig, log } = options
  const walEnd = await readWalEnd(source)
  const [slot] = await rowsOf(source, slotRow, slotSql, [slotName])
  const [stored] = await warehouse.query(position, { feed: slotName })
  const catalog = await lookUpCarried(source, options.publicationName, entries)
  const unreadable = await readUnreadable(source, catalog.tables)
  const replicas = catalog.tables.map(deriveReplica)
  const carried = new Set(entries.map(({ name }) => name))
  const dead = new Map((await warehouse.query(letters, {})).map((row) => [row.table, row.dead_letters]))
  const missing = await readMissing(warehouse, replicas)
  const tables = await readTableReports(warehouse, replicas, dead, missing)
  const chain =
    kafkaConfig &&
    (await readKafkaReport(
      kafkaConfig,
      tables.map(({ table }) => table),
      log,
    ))
  const history = await readHistory(
    options,
    catalog.tables,
    tables.some(({ snapshot_at }) => snapshot_at !== null),
  )
  const isFlowing = slot?.active === true && chain !== undefined && chain.problems.length === 0
  const noRoom = slot ? undefined : await readRoomProblem(source)
  // A SELECT of users that reads what is missing would be told of as wrong itself.
  const users = missing.size === 0 ? await readUsersProblems(warehouse, entries, tables) : []
  const telling = await readTellingProblems(warehouse, slotName)
  const isUsersSaid = missing.size > 0 || users.length > 0
  const problems = [
    ...(noRoom ? [noRoom] : []),
    ...users,
    ...missing.values(),
    // Of the SELECTs everything is said already, or what they miss.
    ...telling.filter(({ code }) => !isUsersSaid || code !== cdcErrors.usersRefused.code),
    ...catalog.refused.values(),
    ...unreadable.values(),
    ...replicas.flatMap((replica) => replica.problems),
    ...history.problems,
    ...(stored ? tables.flatMap(unreadProblem) : []),
    ...(chain?.problems ?? []),
  ]
  const { systemIdentifier, timeline } = history.identity
  return {
    source: { system_identifier: systemIdentifier, timeline },
    slot: slot ?? null,
    position: stored
      ? {
          ...stored,
          late_at_most_seconds: history.isAtEnd
            ? 0
            : await readLateness(options, { walEnd, isFlowing, committedAt: stored.committed_at }),
        }
      : null,
    tables,
    dead_letters: {
      total: [...dead.values()].reduce((sum, count) => sum + count, 0),
      of_no_table: dead.get('') ?? 0,
      of_others: Object.fromEntries([...dead].filter(([table]) => table && !carried.has(table))),
    },
    ...(chain && { kafka: chain.kafka }),
    problems: problems.map(problemOf),
    advice: [
      ...(slot ? slotAdvice(slot.spare_bytes) : []),
      ...(await identityAdvice(source, catalog.tables)),
      ...catalog.tables.flatMap(({ leftOut }) => leftOut),
      ...(await undeclaredTables(warehouse, entries)).map(
        (table) => `${table} is not in the registry any more: \`npm run cdc -- apply\` takes it out.`,
      ),
    ],
  }
}

/** Of tables that were read: only then is there all that the feed makes. */
async function readUsersProblems(
  warehouse: Warehouse,
  entries: readonly RegistryEntry[],
  tables: readonly TableReport[],
): Promise<TendonError[]> {
  const read = new Set(tables.filter(({ snapshot_at }) => snapshot_at !== null).map(({ table }) => table))
  const asked = entries.filter(({ name }) => read.has(name))
  const problems = await Promise.all(asked.map((entry) => readUsersProblem(warehouse, entry)))
  return problems.filter((problem) => problem !== undefined)
}

async function readTableReports(
  warehouse: Warehouse,
  replicas: ReplicaTable[],
  dead: ReadonlyMap<string, number>,
  missing: ReadonlyMap<string, TendonError>,
): Promise<TableReport[]> {
  const finished = new Map((await warehouse.query(snapshots, {})).map((row) => [row.table, row.finished_at]))
  const reports = replicas.map(async (replica): Promise<TableReport> => {
    const table = replica.source.qualifiedName
    const [change] = await warehouse.query(lastChange, { table })
    return {
      table,
      snapshot_at: finished.get(table) ?? null,
      rows: finished.has(table) && !missing.has(table) ? await countRows(warehouse, replica) : null,
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

/** Whether the feed, when it starts next, can go on where it was. */
async function readHistory(
  options: ReportOptions,
  tables: readonly SourceTable[],
  hasRead: boolean,
): Promise<{ identity: SourceIdentity; isAtEnd: boolean; problems: TendonError[] }> {
  const { source, warehouse, slotName, publicationName, crmDatabaseUrl, kafkaConfig } = options
  // In this order, for the feed goes on meanwhile: a slot is never ahead of the position, nor that of the WAL's end.
  const slot = await readSlot(source, slotName)
  const stored = await readPosition(warehouse, slotName)
  const identity = await readIdentity(crmDatabaseUrl)
  const plan = planStart({
    identity,
    stored,
    slotName,
    slot: standingSlot(slot, { hasRead, isByKafka: kafkaConfig !== undefined }),
    isOtherPublication: hasRead && (await isPublicationGone(source, warehouse, publicationName, tables)),
  })
  return {
    identity,
    isAtEnd: stored !== undefined && isAtEnd(stored.lsn, identity.walEnd),
    problems: plan.kind === 'snapshot' && plan.reason ? [plan.reason] : [],
  }
}

/** Whether the one that tables were read under is not there any more. */
async function isPublicationGone(
  source: pg.Client,
  warehouse: Warehouse,
  publicationName: string,
  tables: readonly SourceTable[],
): Promise<boolean> {
  if (!(await readPublication(source, publicationName))?.complete) return true
  return isOtherPublication(warehouse, await readMemberships(source, publicationName, tables))
}

/** A connector that was just made has no slot yet; and what one confirms is kept by Kafka, however far the warehouse is. */
function standingSlot(slot: Slot | undefined, state: { hasRead: boolean; isByKafka: boolean }) {
  if (slot) return state.isByKafka ? { ...slot, confirmedLsn: 0n } : slot
  return state.hasRead ? undefined : { confirmedLsn: 0n, isLost: false, isActive: false }
}
