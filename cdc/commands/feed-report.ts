import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import { countLetters } from '../changes/kept-letters.ts'
import { lookUpCarried } from '../derive/catalog.ts'
import { deriveReplica } from '../derive/derive-table.ts'
import { readMissing } from '../derive/missing-replicas.ts'
import { undeclaredTables } from '../derive/take-out.ts'
import { type KafkaReport, readKafkaReport } from '../kafka/kafka-report.ts'
import type { KafkaConfig } from '../options.ts'
import type { RegistryEntry } from '../registry.ts'
import { readRoomProblem } from '../source/replication-slot.ts'
import { rowsOf } from '../source/rows-of.ts'
import { readWalEnd } from '../source/source-position.ts'
import { readUnreadable } from '../source/unreadable.ts'
import { readLateness } from './lateness.ts'
import { readNextStart } from './next-start.ts'
import { type Problem, problemOf } from './problem.ts'
import { identityAdvice, slotAdvice } from './source-advice.ts'
import { readTableReports, type TableReport, unreadProblem } from './table-reports.ts'
import { readUsersProblems } from './users-problems.ts'

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
  const { source, warehouse, slotName, publicationName, entries, kafkaConfig, log } = options
  const walEnd = await readWalEnd(source)
  const [slot] = await rowsOf(source, slotRow, slotSql, [slotName])
  const [stored] = await warehouse.query(position, { feed: slotName })
  const catalog = await lookUpCarried(source, warehouse, publicationName, entries)
  const replicas = catalog.tables.map(deriveReplica)
  const letters = await countLetters(warehouse)
  const missing = await readMissing(warehouse, replicas)
  const tables = await readTableReports(warehouse, replicas, letters, missing)
  const names = tables.map(({ table }) => table)
  const chain = kafkaConfig && (await readKafkaReport(kafkaConfig, names, log))
  const read = new Set(tables.filter(({ snapshot_at }) => snapshot_at !== null).map(({ table }) => table))
  const start = await readNextStart(options, catalog.tables, read.size > 0)
  const users = await readUsersProblems(
    warehouse,
    slotName,
    entries.filter(({ name }) => read.has(name)),
    new Set(
      replicas.filter(({ source }) => missing.has(source.qualifiedName)).map(({ name }) => `crm.${name}`),
    ),
  )
  const noRoom = slot ? undefined : await readRoomProblem(source)
  const problems = [
    ...(noRoom ? [noRoom] : []),
    ...users,
    ...missing.values(),
    ...catalog.refused.values(),
    ...(await readUnreadable(source, catalog.tables, slotName)).values(),
    ...replicas.flatMap((replica) => replica.problems),
    ...start.problems,
    ...(stored ? tables.flatMap(unreadProblem) : []),
    ...(chain?.problems ?? []),
  ]
  const { systemIdentifier, timeline } = start.identity
  // A history that has just begun, with everything still to be read, stands at the end of the WAL too.
  const isBegun = read.size > 0 || tables.length === 0
  const isFlowing = isBegun && slot?.active === true && chain?.problems.length === 0
  const lateBy = ({ committed_at: committedAt }: z.infer<typeof position.row>) =>
    isBegun && start.isAtEnd ? 0 : readLateness(options, { walEnd, isFlowing, committedAt })
  return {
    source: { system_identifier: systemIdentifier, timeline },
    slot: slot ?? null,
    position: stored ? { ...stored, late_at_most_seconds: await lateBy(stored) } : null,
    tables,
    dead_letters: sumLetters(letters, entries),
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

function sumLetters(
  letters: ReadonlyMap<string, number>,
  entries: readonly RegistryEntry[],
): FeedReport['dead_letters'] {
  const carried = new Set(entries.map(({ name }) => name))
  return {
    total: [...letters.values()].reduce((sum, count) => sum + count, 0),
    of_no_table: letters.get('') ?? 0,
    of_others: Object.fromEntries([...letters].filter(([table]) => table && !carried.has(table))),
  }
}
