import pg, { type ClientBase } from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { dayUs } from '../time/instants.ts'
import {
  createKeyColumn,
  createPackedRowsColumn,
  createTextColumn,
  createTimestampColumn,
  readCopyBinary,
} from './copy-binary.ts'
import { literal, readStatement, type SqlText } from './copy-statement.ts'
import { clockAheadMinutes } from './packed-rows.ts'
import type { SourceTraits } from './source-traits.ts'
import { readExtent } from './telemetry-extent.ts'

const clockMayBeAhead = { may_be_ahead: { sql: `interval '${clockAheadMinutes} minutes'` } }
const packedRow: Record<Packing, SqlText> = {
  slim: { sql: readStatement<'may_be_ahead'>('slim-row.sql')(clockMayBeAhead) },
  whole: { sql: readStatement<'may_be_ahead'>('whole-row.sql')(clockMayBeAhead) },
}
const touchedWindowsSql = readStatement<'since' | 'corrections' | 'chips' | 'most'>('touched-windows.sql')
const unmeasurableRowsSql = readStatement<
  'packed_row' | 'slice_bits' | 'since' | 'corrected' | 'from' | 'to' | 'first_day' | 'since_without_chip'
>('unmeasurable-rows.sql')
const rowsOfTimeSql = readStatement<'packed_row' | 'from' | 'to'>('chip-rows-of-time.sql')
const rowsOfWindowsSql = readStatement<'packed_row' | 'chips' | 'froms' | 'tos' | 'from' | 'to'>(
  'chip-rows-of-windows.sql',
)

/** How rows are packed: as slim-row.sql does or as whole-row.sql does. */
export type Packing = 'slim' | 'whole'

/** Packed rows of one chip; the bytes are good until the call returns. */
export type TakeChipRows = (chipId: string, bytes: Buffer) => void

/** Rows whose ids differ in so many of the lowest bits alone come in one slice. */
export const sliceBits = 14

/** Takes packed rows, slice by slice, those of one chip at a time; what `afterChunk` does is waited for. */
export type TakeSlices = {
  take(slice: number, chipId: string, bytes: Buffer): void
  afterChunk(): Promise<void>
}

/** Stretches of time of chips: element i of each array is one. */
export type Windows = { chipId: string[]; fromUs: number[]; toUs: number[] }

/** From when on rows are new: transaction ids (xid8) and microseconds are decimal digits. Undefined is everything. */
export type Since = string | undefined

/** The telemetry as it stood at one moment. */
export type TelemetryView = {
  traits: SourceTraits
  /** Where the next run begins: every transaction below it has ended, and what it stored is seen here. */
  watermark: string
  /** Transactions from the watermark to the newest: they wait for one that is open. */
  openTransactions: number
  /** When the snapshot was taken, by the database's clock. */
  takenAtUs: number
  /**
   * First and last time of new rows, by chip and UTC day, within the bounds; and whether there are new rows that may not be
   * measured: outside of the times for which that is certain. Undefined when there are more than `most`, which are not held.
   */
  touched(
    since: Since,
    times: { bounds: TimeBounds; certain: TimeBounds },
    most: number,
  ): Promise<(Windows & { hasUnmeasurable: boolean }) | undefined>
  /** First and last time of these chips' rows, by chip and UTC day, within the bounds: so many at most. */
  windowsOf(chipIds: readonly string[], bounds: TimeBounds, limit: number | 'ALL'): Promise<Windows>
  /** A stretch of time that holds every row within the bounds; undefined when there is none. */
  extent(bounds: TimeBounds): Promise<TimeBounds | undefined>
  /** Those that are new since then are looked at first: there is no index by time alone. */
  hasRows(time: TimeBounds, since: Since): Promise<boolean>
  /** Rows outside of these times, and those without a chip, that are new or of chips listed as corrected. Not those of history. */
  unmeasurableRows(
    since: Since,
    corrected: readonly string[],
    certain: TimeBounds,
    into: TakeSlices,
  ): Promise<void>
  /** Chips of which rows were changed or deleted; an empty one stands for rows that have none. */
  correctedChips(since: Since): Promise<string[]>
  /** All rows of a time that have a chip. */
  rowsOfTime(time: TimeBounds, packing: Packing, take: TakeChipRows): Promise<void>
  /** Whole rows of stretches of time. */
  rowsOfWindows(windows: Windows, take: TakeChipRows): Promise<void>
  /** Another connection that sees the very same. */
  beside(connect: () => Promise<pg.Client>): Promise<TelemetryView>
  /** Lets the snapshot go; ending the connection does too. */
  close(): Promise<void>
}

/** Half-open: [fromUs, toUs). */
export type TimeBounds = { fromUs: number; toUs: number }

/**
 * Opens one snapshot of the telemetry, from which everything is read.
 * @param client a connection that runs nothing else meanwhile
 * @param workMem what one sort or hash of a query may use before it goes to disk, as in `64MB`
 */
export async function openTelemetryView(
  client: ClientBase,
  traits: SourceTraits,
  workMem: string,
): Promise<TelemetryView> {
  await begin(client, workMem)
  const { rows } = await client.query<{ xmin: string; open: string; takenAtUs: string }>(`
    SELECT
      pg_snapshot_xmin(pg_current_snapshot())::text AS xmin,
      (pg_snapshot_xmax(pg_current_snapshot())::text::numeric
        - pg_snapshot_xmin(pg_current_snapshot())::text::numeric)::text AS open,
      (extract(epoch FROM now()) * 1000000)::bigint::text AS "takenAtUs"`)
  const { xmin, open, takenAtUs } = rows[0]!
  return viewOf(client, {
    traits,
    watermark: traits.watermarkKind === 'xid' ? xmin : takenAtUs,
    openTransactions: Number(open),
    takenAtUs: Number(takenAtUs),
    workMem,
  })
}

type ViewFacts = Pick<TelemetryView, 'traits' | 'watermark' | 'openTransactions' | 'takenAtUs'> & {
  workMem: string
}

function viewOf(client: ClientBase, facts: ViewFacts): TelemetryView {
  const { traits, workMem } = facts
  const chipRows = async (sql: string, take: TakeChipRows): Promise<void> => {
    const chip = createKeyColumn()
    await readCopyBinary(client.query(copyTo(sql)), [
      chip,
      createPackedRowsColumn((bytes) => take(chip.value(), bytes)),
    ])
  }
  const windows = async (parts: Parameters<typeof touchedWindowsSql>[0]): Promise<Windows> => {
    const [chip, first, last] = [createTextColumn(), createTimestampColumn(), createTimestampColumn()]
    await readCopyBinary(client.query(copyTo(touchedWindowsSql(parts))), [chip, first, last])
    return { chipId: chip.values(), fromUs: first.values(), toUs: last.values() }
  }
  return {
    ...facts,
    async touched(since, { bounds, certain }, most) {
      const found = await windows({
        since: isNew(since, traits),
        corrections: corrections(since, traits, bounds),
        chips: { sql: '' },
        most: { sql: String(most + 1) },
      })
      if (found.chipId.length > most) return undefined
      // They begin and end with UTC days, as the windows do.
      const isWithin = ({ fromUs, toUs }: TimeBounds) =>
        found.chipId.map((chip, i) => chip !== '' && found.fromUs[i]! >= fromUs && found.toUs[i]! < toUs)
      const isWanted = isWithin(bounds)
      return {
        chipId: found.chipId.filter((_, i) => isWanted[i]),
        fromUs: found.fromUs.filter((_, i) => isWanted[i]),
        toUs: found.toUs.filter((_, i) => isWanted[i]),
        hasUnmeasurable: isWithin(certain).includes(false),
      }
    },
    windowsOf: (chipIds, bounds, limit) =>
      windows({
        since: { sql: 'false' },
        corrections: { sql: '' },
        chips: allOf(chipIds, bounds),
        most: { sql: String(limit) },
      }),
    extent: (bounds) => readExtent(client, traits, bounds),
    async hasRows({ fromUs, toUs }, since) {
      const rowsOfTime =
        'SELECT FROM telemetry_events WHERE recorded_at >= to_timestamp($1) AND recorded_at < to_timestamp($2)'
      const { rows } = await client.query<{ found: boolean }>(
        `SELECT EXISTS (${rowsOfTime} AND ${isNew(since, traits).sql}) OR EXISTS (${rowsOfTime}) AS found`,
        [fromUs / 1e6, toUs / 1e6],
      )
      return rows[0]!.found
    },
    async unmeasurableRows(since, corrected, certain, { take, afterChunk }) {
      const sql = unmeasurableRowsSql({
        packed_row: packedRow.whole,
        slice_bits: { sql: String(sliceBits) },
        since: isNew(since, traits),
        corrected: literal.texts(corrected),
        since_without_chip: corrected.includes('') ? { sql: 'true' } : isNew(since, traits),
        ...literalBounds(certain),
        first_day: literal.instant(certain.fromUs - dayUs),
      })
      const [slice, chip] = [createKeyColumn(), createKeyColumn()]
      const rows = createPackedRowsColumn((bytes) => take(Number(slice.value()), chip.value(), bytes))
      await readCopyBinary(client.query(copyTo(sql)), [slice, chip, rows], afterChunk)
    },
    async correctedChips(since) {
      if (!traits.hasCorrections || since === undefined) return []
      const { rows } = await client.query<{ chip_id: string }>(
        `SELECT DISTINCT chip_id FROM telemetry_corrections WHERE xid >= $1::xid8`,
        [since],
      )
      return rows.map((row) => row.chip_id)
    },
    rowsOfTime: (time, packing, take) =>
      chipRows(rowsOfTimeSql({ packed_row: packedRow[packing], ...literalBounds(time) }), take),
    async rowsOfWindows({ chipId, fromUs, toUs }, take) {
      if (chipId.length === 0) return
      await chipRows(
        rowsOfWindowsSql({
          packed_row: packedRow.whole,
          chips: literal.texts(chipId),
          froms: literal.instants(fromUs),
          tos: literal.instants(toUs),
          from: literal.instant(fromUs.reduce((a, b) => Math.min(a, b))),
          to: literal.instant(toUs.reduce((a, b) => Math.max(a, b))),
        }),
        take,
      )
    },
    async beside(connect) {
      const { rows } = await client.query<{ snapshot: string }>('SELECT pg_export_snapshot() AS snapshot')
      const other = await connect()
      await begin(other, workMem, rows[0]!.snapshot)
      return viewOf(other, facts)
    },
    close: async () => {
      await client.query('ROLLBACK')
    },
  }
}

async function begin(client: ClientBase, workMem: string, snapshot?: string): Promise<void> {
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
  if (snapshot) await client.query(`SET TRANSACTION SNAPSHOT ${pg.escapeLiteral(snapshot)}`)
  // Before the first query, which takes the snapshot. Without it a partition attached later would hide the rows
  // that were moved into it: they are not in this snapshot there, and the default partition, where they still
  // are, is no longer looked at. ATTACH PARTITION waits for this lock.
  // DDL that holds the table for long ends the run: the next slot tries again.
  await client.query(`SET LOCAL lock_timeout = '2min'; LOCK TABLE telemetry_events IN ACCESS SHARE MODE`)
  await client.query(
    `SELECT set_config('work_mem', $1, true), set_config('TimeZone', 'UTC', true),
            set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)`,
    [workMem],
  )
}

function literalBounds({ fromUs, toUs }: TimeBounds): { from: SqlText; to: SqlText } {
  return { from: literal.instant(fromUs), to: literal.instant(toUs) }
}

function isNew(since: Since, { watermarkKind }: SourceTraits): SqlText {
  if (since === undefined) return { sql: 'true' }
  if (watermarkKind === 'xid') return { sql: `ingest_xid >= ${literal.text(since).sql}::xid8` }
  // Of a row without this time nobody knows whether it was seen: it counts as new each time.
  return { sql: `(ingested_at >= ${literal.instant(Number(since)).sql} OR ingested_at IS NULL)` }
}

function corrections(since: Since, { hasCorrections }: SourceTraits, bounds: TimeBounds): SqlText {
  if (!hasCorrections || since === undefined) return { sql: '' }
  const { from, to } = literalBounds(bounds)
  return {
    sql: `UNION ALL
      SELECT chip_id, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC' - interval '1 microsecond'
      FROM telemetry_corrections
      WHERE xid >= ${literal.text(since).sql}::xid8 AND chip_id <> ''
        AND day >= ${from.sql}::date AND day < ${to.sql}::date`,
  }
}

function allOf(chipIds: readonly string[], bounds: TimeBounds): SqlText {
  if (chipIds.length === 0) return { sql: '' }
  const { from, to } = literalBounds(bounds)
  return {
    sql: `UNION ALL
      SELECT chip_id, min(recorded_at), max(recorded_at)
      FROM telemetry_events
      WHERE chip_id = ANY (${literal.texts(chipIds).sql}::text[]) AND recorded_at >= ${from.sql} AND recorded_at < ${to.sql}
      GROUP BY chip_id, date_bin('1 day', recorded_at, '2000-01-01 00:00Z')`,
  }
}
