import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { QuarantinedRow } from '../measure/chip-measurer.ts'
import type { Extraction } from '../run/extraction.ts'
import type { RunSession } from '../run/run-session.ts'
import { idsOfSlice, type Since, sliceBits } from '../telemetry/telemetry.ts'
import type { Mark } from './mark.ts'
import { keyOf, quarantineColumns, quarantinedRow, writeQuarantine } from './quarantine.ts'

const chips = z.object({ any_chip: z.boolean(), chips: z.array(z.string()) })

/** Rows without a day are all that stand for what cannot be measured. */
const standsSql = `toUInt16(day) = 0 AND ({any_chip:Bool} OR chip_id IN {chips:Array(String)})`

const standingSlices = defineQuery({
  name: 'etl-standing-unmeasurable-slices',
  sql: `
    SELECT bitShiftRight(row_id, {slice_bits:UInt8}) AS slice, toUInt32(count()) AS rows
    FROM reports.etl_quarantine FINAL
    WHERE ${standsSql}
    GROUP BY slice
    ORDER BY slice`,
  params: chips.extend({ slice_bits: z.int() }),
  row: z.object({ slice: z.coerce.number<string>(), rows: z.int() }),
})

const standingUnmeasurable = defineQuery({
  name: 'etl-standing-unmeasurable',
  sql: `
    SELECT ${quarantineColumns}
    FROM reports.etl_quarantine FINAL
    WHERE ${standsSql} AND row_id >= {from_id:Int64} AND row_id < {to_id:Int64}`,
  params: chips.extend({ from_id: z.int(), to_id: z.int() }),
  row: quarantinedRow,
})

/** How many are held, beside those of the slice that is being read. */
const rowsAtOnce = 20_000
const [firstId, endOfIds] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]

/**
 * Puts rows without a chip, or without a day that counts, into quarantine: no number is made of them, wherever they are.
 * They are compared with those that stand in stretches of ids, as they come: there may be any number of both.
 */
export async function loadUnmeasurable(
  session: RunSession,
  { view, bounds, createMeasurer }: Extraction,
  { since, hasNew, wholeChips }: { since: Since; hasNew: boolean; wholeChips: readonly string[] },
  mark: Mark,
): Promise<void> {
  const { warehouse, record } = session
  const corrected = [...new Set([...(await view.correctedChips(since)), ...wholeChips])]
  if (!hasNew && corrected.length === 0) return
  // Whose standing rows are read whole, so that those which do not come have gone.
  const whole = { any_chip: since === undefined, chips: corrected }
  const slices = await warehouse.query(standingSlices, { ...whole, slice_bits: sliceBits })
  const measurer = createMeasurer()
  let found: QuarantinedRow[] = []
  let readingId = firstId
  let settledId = firstId

  /** Makes what stands of the ids up to here what was found of them. */
  async function settle(toId: number): Promise<void> {
    const ids = { from_id: settledId, to_id: toId }
    const standing = await warehouse.query(standingUnmeasurable, { ...whole, ...ids })
    const before = new Map(standing.map((row) => [keyOf(row), row]))
    await session.assertLock()
    await writeQuarantine(
      warehouse,
      found.filter(({ rowId }) => rowId < toId),
      before,
      mark,
    )
    found = found.filter(({ rowId }) => rowId >= toId)
    settledId = toId
  }

  async function settleInPieces(toId: number): Promise<void> {
    let standing = 0
    while (slices[0] && slices[0].slice * idsOfSlice < toId) {
      const { slice, rows } = slices.shift()!
      standing += rows
      if (standing < rowsAtOnce) continue
      await settle((slice + 1) * idsOfSlice)
      standing = 0
    }
    if (standing > 0 || found.some(({ rowId }) => rowId < toId)) await settle(toId)
  }

  await view.unmeasurableRows(since, corrected, bounds, {
    take(slice, chipId, bytes) {
      readingId = slice * idsOfSlice
      const judged = measurer.judgeUnmeasurable(chipId, bytes, bounds)
      record.rows_quarantined += judged.length
      for (const row of judged) found.push(row)
    },
    async afterChunk() {
      if (found.length >= rowsAtOnce && settledId < readingId) await settleInPieces(readingId)
    },
  })
  await settleInPieces(endOfIds)
}
