import { readFileSync } from 'node:fs'
import type { ClientBase } from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import type { ChipDays } from './chip-days.ts'
import { createFloat64Column, createTextColumn, readCopyBinary } from './copy-binary.ts'
import { measureNames, measuresFrom } from './measures.ts'
import { countPairs, type TouchedDays } from './touched-days.ts'

const touchedDaysSql = readFileSync(new URL('./touched-days.sql', import.meta.url), 'utf8')
const chipDaysSql = readFileSync(new URL('./chip-days.sql', import.meta.url), 'utf8')

/** Chips by day (days since 1970-01-01, UTC), and those that sent rows whose time no day of the warehouse can hold. */
export type FoundDays = { chipsByDay: Map<number, string[]>; undatableChips: string[] }

/** The telemetry as it stood at one moment. Transaction ids (xid8) are decimal digits. */
export type TelemetryView = {
  /** xmin of the view's snapshot: every transaction below it has ended, and what it stored is seen here. */
  xmin: string
  /** The pairs with rows of transactions from `watermark` on. */
  daysSince(watermark: string): Promise<FoundDays>
  /** Every day of these chips. */
  daysOf(chips: string[]): Promise<FoundDays>
  /** Measures each touched pair whole. Pairs without telemetry are absent. */
  measure(touched: TouchedDays): Promise<ChipDays>
  /** Lets the snapshot go; ending the connection does too. */
  close(): Promise<void>
}

/**
 * Opens one snapshot of the telemetry, from which everything is read.
 * @param client a connection that runs nothing else meanwhile
 * @param workMem what one sort of a query may use before it goes to disk, as in `64MB`
 */
export async function openTelemetryView(client: ClientBase, workMem: string): Promise<TelemetryView> {
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
  // Before the first query, which takes the snapshot. Without it a partition attached later would hide the rows
  // that were moved into it: they are not in this snapshot there, and the default partition, where they still
  // are, is no longer looked at. ATTACH PARTITION waits for this lock.
  await client.query('LOCK TABLE telemetry_events IN ACCESS SHARE MODE')
  await client.query("SELECT set_config('work_mem', $1, true)", [workMem])
  const { rows } = await client.query<{ xmin: string }>(
    'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin',
  )
  return {
    xmin: rows[0]!.xmin,
    daysSince: (watermark) => findDays(client, watermark, []),
    daysOf: (chips) => findDays(client, null, chips),
    measure: (touched) => measureChipDays(client, touched),
    close: async () => {
      await client.query('ROLLBACK')
    },
  }
}

async function findDays(client: ClientBase, watermark: string | null, chips: string[]): Promise<FoundDays> {
  if (watermark === null && chips.length === 0) return { chipsByDay: new Map(), undatableChips: [] }
  const { rows } = await client.query<{ day: number | null; chipIds: string[] }>(touchedDaysSql, [
    watermark,
    chips,
  ])
  const chipsByDay = new Map<number, string[]>()
  const undatableChips: string[] = []
  for (const { day, chipIds } of rows) {
    if (day === null) undatableChips.push(...chipIds)
    else chipsByDay.set(day, chipIds)
  }
  return { chipsByDay, undatableChips }
}

/**
 * One COPY a day, because a day is one partition: the planner looks at that one alone, and chooses between its
 * index and reading it whole by how many chips are asked for.
 */
async function measureChipDays(client: ClientBase, touched: TouchedDays): Promise<ChipDays> {
  const chipId = createTextColumn()
  const measures = measureNames.map(createFloat64Column)
  const day = new Int32Array(countPairs(touched))
  let length = 0
  for (const [touchedDay, chips] of touched.chipsByDay) {
    await client.query(
      "SELECT set_config('tendon.day', $1, true), set_config('tendon.chips', $2::text[]::text, true)",
      [String(touchedDay), [...chips]],
    )
    const rows = await readCopyBinary(client.query(copyTo(chipDaysSql)), [chipId, ...measures])
    day.fill(touchedDay, length, length + rows)
    length += rows
  }
  return {
    length,
    chipId: chipId.values(),
    day: day.subarray(0, length),
    measures: measuresFrom((_, position) => measures[position]!.values()),
  }
}
